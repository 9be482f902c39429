"""LSVQ: 28,056 training videos and two test sets (about 7.2 k, and 3.57 k in 1080p), with MOS from 0 to 100.

The publisher's split is followed: ``is_test`` of ``labels_train_test.csv``, and all of ``labels_test_1080p.csv``;
validation is drawn from the training videos. Names lack ``.mp4``. Every video is its own content.

Ref: Ying et al., "Patch-VQ: 'Patching up' the video quality problem" (2021). Left out: the scores of patches.
"""

from typing import Literal

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "lsvq"
SCALE = ScoreScale(score_name="MOS", low=0.0, high=100.0)
TRAIN_TEST, TEST_1080P = "labels_train_test.csv", "labels_test_1080p.csv"
DOWNLOAD = tell(
    NAME,
    "Get the videos and label files from LIVE (github.com/baidut/PatchVQ). Expected: labels_train_test.csv, "
    "labels_test_1080p.csv, and the videos as the column name says, such as ia-batch1/x.mp4 and yfcc-batch3/7.mp4.",
)


class Settings(BroughtSettings):
    """Where the videos lie, and which test set is used."""

    folder: str = "raw/lsvq"
    paths: list[str] = Field(["{name}.mp4", "{name}"], min_length=1)
    test: Literal["test", "test_1080p", "both"] = "test"
    """``test`` is the smaller clips' test set, ``test_1080p`` the other; what is not used is left out."""


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of both tables."""
    for row in read_rows(found.table(TRAIN_TEST), ["name", "mos", "is_test"]):
        is_test = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}.get(
            row["is_test"].lower()
        )
        if is_test is None:
            found.problem(f"{row.where}: got is_test {row['is_test']!r}; expected True or False")
        elif not is_test or settings.test != "test_1080p":
            name = row["name"].removesuffix(".mp4")
            fields = {**row.values, "name": name}
            found.add(row.where, fields, score=row["mos"], video_id=name, split="test" if is_test else None)
    if settings.test != "test":
        for row in read_rows(found.table(TEST_1080P), ["name", "mos"]):
            name = row["name"].removesuffix(".mp4")
            found.add(row.where, {**row.values, "name": name}, score=row["mos"], video_id=name, split="test")


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
