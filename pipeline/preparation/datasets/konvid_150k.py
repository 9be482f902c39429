"""KoNViD-150k: 152,265 videos with five opinions each (A), and 1576 with 89 and more (B).

Every video is its own content. Where both halves are there, B is tested; validation is drawn from A. One half alone
is divided by ``prepare``.
"""

from pipeline.core.manifest import ScoreScale, Split
from pipeline.preparation.datasets.shared.described import Found, Labels, described
from pipeline.preparation.datasets.shared.facts import Facts

_MOS = ScoreScale(score_name="MOS", low=1.0, high=5.0)
FACTS = Facts(
    title="KoNViD-150k",
    videos=153841,
    scores={"overall": _MOS, "video_score": _MOS},
    contents="540p, 5 s, of YFCC100M; each its own; look for overlap with KoNViD-1k and LSVQ",
    home="database.mmsp-kn.de/konvid-150k-vqa-database.html",
    licence="free for research",
    request="no",
    tree="k150ka_scores.csv, k150ka_extracted/*.mp4 (176 GB)\nk150kb_scores.csv, k150kb_extracted/*.mp4 (2 GB)",
    paper="https://arxiv.org/abs/1912.07966",
    note="B, with its many opinions, is tested where both halves are there.",
    read="excerpt",
    checked="k150kb_scores.csv, 1576 rows; the header of k150ka_scores.csv",
)


def _half(letter: str) -> Labels:
    return Labels(
        files=[f"k150k{letter}_scores.csv"],
        columns={"name": "video_name", "overall": ("mos", "video_score"), "video_score": "video_score"},
        may_lack=True,
    )


def _find(found: Found, _: object) -> None:
    """Reads the halves that are there."""
    halves = {letter: found.rows(_half(letter)) for letter in "ab"}
    if not any(halves.values()):
        found.need("k150ka_scores.csv", "k150kb_scores.csv")
    for letter, rows in halves.items():
        split: Split | None = "test" if letter == "b" and halves["a"] else None
        for row in rows:
            found.add(row, _half(letter), split=split, more={"half": letter})


Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    find=_find,
    paths=["k150k{half}_extracted/{name}", "k150k{half}/{name}", "{name}"],
)
