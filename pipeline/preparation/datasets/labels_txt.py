"""The list that FAST-VQA and DOVER share: ``path, duration, fps, mos`` without a header, -1 where unknown.

Ref: Wu et al., "FAST-VQA" (2022) and "DOVER" (2023), their ``examplar_data_labels``. Duration is not read: frames are
counted.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import RawFormat
from pipeline.preparation.datasets.shared.settings import ScoredSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "labels_txt"
DOWNLOAD = tell(
    NAME, "Expected: the list, labels.txt (or what prepare.options.labels_txt.labels names), and the videos it names."
)
_COLUMNS = ("path", "duration", "fps", "mos")


class Settings(ScoredSettings):
    """Which lists, and the scale of their scores."""

    folder: str = "raw/labels_txt"
    paths: list[str] = Field(["{path}"], min_length=1)
    labels: dict[Literal["all", "train", "val", "test"], str] = Field({"all": "labels.txt"}, min_length=1)
    """Split → its list; ``all`` leaves the split to ``prepare``."""


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the lists."""
    for split, name in settings.labels.items():
        for row in read_rows(found.table(name), _COLUMNS, header=_COLUMNS):
            found.add(
                row.where,
                row.values,
                score=row["mos"],
                pattern=settings.content,
                video_id=str(Path(row["path"]).with_suffix("")),
                split=None if split == "all" or (split == "train" and "val" not in settings.labels) else split,
                raw=RawFormat(fps=found.number(row.where, "fps", row["fps"], unknown="-1")),
            )


scales, collect = brought(NAME, lambda settings: settings.scale, DOWNLOAD, _find)
