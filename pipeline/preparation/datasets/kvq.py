"""KVQ: 4200 short-form videos, 600 uploads in seven versions each; used by the NTIRE challenges of 2024 and 2025.

Numbers begin anew in each split, so a video is called ``train/0001``, and is looked for in its own split's folder only.
Seven numbers that follow each other are one upload. Without scores of the test split (they were empty until 2025) the
publisher's validation split is tested, as others did, and validation is drawn from the training uploads.

``teachonce data challenge`` computes the challenges' own score, with their ranked pairs.
"""

from collections.abc import Mapping

from pydantic import Field

from pipeline.core.manifest import ScoreScale, Split
from pipeline.preparation.datasets.shared.described import Found, Labels, described
from pipeline.preparation.datasets.shared.facts import Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings

FACTS = Facts(
    title="KVQ",
    videos=4200,
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=5.0)},
    contents="600 uploads by 7 versions; the upload is the content",
    home="github.com/lixinustc/KVQE-Challenge-CVPR-NTIRE2025 (Google Drive)",
    licence="not stated",
    request="no",
    tree="train_data.csv, truth.csv (validation), test_data.csv\n"
    "train_video/0001.mp4 …, val_video/0001.mp4 …, test_video/0001.mp4 …",
    split="2926 train, 420 validation, 854 test; used",
    paper="https://arxiv.org/abs/2402.07220",
    read="excerpt",
    checked="excerpts of all three tables; names and numbers of all 4200 videos in a table of others",
)
_PRIVATE = ["filename", "cls_label", "dis_label", "label"]
"""The columns of the lists without a header that the publisher's own code reads."""
_VERSIONS = 7


class Settings(PublishedSettings):
    """The label file of each split."""

    tables: dict[Split, str] = Field(
        {"train": "train_data.csv", "val": "truth.csv", "test": "test_data.csv"}, min_length=1
    )
    """Split → its label file; one that is not there is left out."""


def _find(found: Found, settings: Settings) -> None:
    """Reads each split's table, and says where each split goes."""
    tables = {}
    for split, name in settings.tables.items():
        labels = Labels(
            files=[name], columns={"name": "filename", "overall": ("score", "label")}, header=_PRIVATE, may_lack=True
        )
        rows = found.rows(labels)
        if rows and not any(row["overall"] for row in rows):
            found.note(f"{name} has no scores, so these {len(rows)} videos are left out")
        elif rows:
            tables[split] = (labels, rows)
    if not tables:
        found.need(*settings.tables.values())
    goes = _placed(tables)
    for split, (labels, rows) in tables.items():
        for row in rows:
            stem = row["name"].rpartition("/")[2].removesuffix(".mp4")
            content = f"{split}/{(int(stem) - 1) // _VERSIONS:03d}" if stem.isdecimal() else ""
            found.add(row, labels, split=goes[split], more={"folder": split, "number": stem, "content": content})


def _placed(tables: Mapping[Split, object]) -> dict[Split, Split | None]:
    """Publisher's split → split; None leaves it to ``prepare``."""
    if "test" not in tables:
        return {"train": None, "val": "test"}
    return {"train": "train" if "val" in tables else None, "val": "val", "test": "test"}


_, scales, collect, survey = described(
    __name__,
    FACTS,
    settings=Settings,
    find=_find,
    paths=["{folder}_video/{number}.mp4", "{folder}/{number}.mp4"],
    video_id="{folder}/{number}",
)
