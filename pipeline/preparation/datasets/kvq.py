"""KVQ: 4200 short-form videos from 600 uploads, each as seven processed versions, with MOS up to 5.

The publisher ships one table per split, with ``filename``, ``cls_label``, ``dis_label`` and ``label``, and the split is
followed. Without a test table, test videos are drawn by content.

Ref: Lu et al., "KVQ: Kwai video quality assessment for short-form videos" (2024); the NTIRE 2024 challenge. Left out:
the ranked pairs.
"""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale, Split
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.settings import BroughtSettings, ContentPattern
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "kvq"
SCALE = ScoreScale(score_name="MOS", low=0.0, high=5.0)
DOWNLOAD = tell(
    NAME,
    "Get it through github.com/lixinustc/KVQ-Challenge-CVPR-NTIRE2024. Expected: the videos and train.csv, val.csv, "
    "test.csv (or what prepare.options.kvq.tables names), with the columns filename,cls_label,dis_label,label.",
)


class Settings(BroughtSettings):
    """Where the videos lie; the paths' fields are the tables' columns and ``stem``, the name without its suffix."""

    folder: str = "raw/kvq"
    paths: list[str] = Field(
        ["{filename}", "{stem}.mp4", "train_video/{filename}", "val_video/{filename}", "test_video/{filename}"],
        min_length=1,
    )
    tables: dict[Split, str] = Field({"train": "train.csv", "val": "val.csv", "test": "test.csv"}, min_length=1)
    """Split → its table; one that is not there is left out."""
    content: ContentPattern = None
    """What names the upload that a video was made from; null is right only while the publisher's splits are used."""


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the tables."""
    found.table(*settings.tables.values())
    present: dict[Split, Path] = {
        split: found.folder / name for split, name in settings.tables.items() if (found.folder / name).is_file()
    }
    if "test" not in present and settings.content is None:
        raise DatasetError(
            f"{found.folder} has no {settings.tables.get('test', 'table of the test split')}, so test videos would be "
            "drawn, which needs to know what belongs together; set prepare.options.kvq.content"
        )
    for split, path in present.items():
        for row in read_rows(path, ["filename", "label"]):
            stem = Path(row["filename"]).stem
            found.add(
                row.where,
                {**row.values, "stem": stem},
                score=row["label"],
                pattern=settings.content,
                split=_split(split, present),
            )


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)


def _split(split: Split, present: dict[Split, Path]) -> Split | None:
    """The publisher's, as long as his test videos are there; without them everything is drawn."""
    if "test" not in present:
        return None
    return split if split != "train" or "val" in present else None
