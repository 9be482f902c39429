"""LIVE VQA: 10 references by 15 distorted videos, raw 4:2:0, 768x432.

``live_video_quality_data.txt`` has the scores of the files that ``live_video_quality_seqs.txt`` lists, line by line.
Left out: the references, which have no score.
"""

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings

FACTS = Facts(
    title="LIVE VQA",
    videos=150,
    scores={"overall": ScoreScale(score_name="DMOS", low=0.0, high=100.0, published_direction="lower_is_better")},
    contents="10 references by 15 distortions; the reference is the content",
    home="live.ece.utexas.edu/research/Quality/live_video.html",
    licence=LIVE_NOTICE,
    request="yes",
    tree="live_video_quality_seqs.txt\nlive_video_quality_data.txt\npa_Folder/pa2_25fps.yuv … (or all in one folder)",
    paper="https://doi.org/10.1109/TIP.2010.2042111",
    read="yes",
    checked="both files as a public repository has them, 150 rows",
)
_KINDS = {range(2, 6): "wireless", range(6, 9): "ip", range(9, 13): "h264", range(13, 17): "mpeg2"}


def _derive(fields: dict[str, str], settings: PublishedSettings) -> dict[str, str]:
    """Kind of distortion and its number within the kind, and the size, which the name does not have."""
    number, raw = int(fields["distortion"]), settings.raw
    kinds = ((kind, str(number - numbers.start + 1)) for numbers, kind in _KINDS.items() if number in numbers)
    kind, level = next(kinds, ("", ""))
    return {"codec": kind, "level": level, "width": str(raw.width or 768), "height": str(raw.height or 432)}


Settings, scales, collect, survey = described(
    __name__,
    FACTS,
    labels=[
        Labels(
            files=["live_video_quality_seqs.txt"],
            columns={"name": "name"},
            header=["name"],
            beside=Labels(files=["live_video_quality_data.txt"], columns={"overall": "dmos"}, header=["dmos", "*"]),
        )
    ],
    pattern=r"^(?P<content>[a-z]{2})(?P<distortion>\d+)_",
    derive=_derive,
    paths=["{content}_Folder/{name}", "{name}"],
)
