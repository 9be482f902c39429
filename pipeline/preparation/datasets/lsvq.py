"""LSVQ: 28,056 training videos and two test sets, 7.2 k of up to 720p and 3.6 k in 1080p.

Every video is its own content. ``is_test`` of ``labels_train_test.csv`` and all of ``labels_test_1080p.csv`` are
tested; validation is drawn from the training videos. A name lacks the file's ``.mp4``, also where it ends in ``.mp4``
itself. Left out: the scores of patches, and clips of which the table counts fewer frames than ``shortest``.
"""

from typing import Literal

from pipeline.core.manifest import ScoreScale, Split
from pipeline.core.settings import Count
from pipeline.preparation.datasets.shared.described import Found, Labels, described
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings

FACTS = Facts(
    title="LSVQ",
    videos=39072,
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="Internet Archive and YFCC100M; each its own",
    home="github.com/baidut/PatchVQ (request form, then Globus)",
    licence=LIVE_NOTICE,
    request="yes",
    tree="labels_train_test.csv\nlabels_test_1080p.csv\nia-batch1/<name>.mp4 …, yfcc-batch1/<name>.mp4 …",
    split="28,056 train, 7,186 test, 3,573 test in 1080p; used, validation is drawn from train",
    paper="https://arxiv.org/abs/2011.13544",
    read="excerpt",
    checked="labels_test_1080p.csv, 3573 rows; a copy of labels_train_test.csv, 35,499 rows, without is_test",
    note="257 rows of labels_train_test.csv are in no list that others use; 211 of them count fewer than 24 frames and "
    "are left out. Some clips begin with references that are not there (FAST-VQA, issue 40): prepare names them.",
)
_COLUMNS = {"name": "name", "overall": "mos", "frames": "frame_number"}
_TRAIN_TEST = Labels(
    files=["labels_train_test.csv"], columns=_COLUMNS | {"split": "is_test"}, optional=["frames", "split"]
)
_TEST_1080P = Labels(files=["labels_test_1080p.csv"], columns=_COLUMNS, optional=["frames"], split="test")
_SPLITS: dict[str, Split | None] = dict.fromkeys(["True", "true", "TRUE", "1", "1.0"], "test")
_SPLITS |= dict.fromkeys(["False", "false", "FALSE", "0", "0.0"])


class Settings(PublishedSettings):
    """Which test set is used, and which clips are too short."""

    test: Literal["test", "test_1080p", "both"] = "test"
    """``test`` is the smaller clips' test set, ``test_1080p`` the other; what is not used is left out."""
    shortest: Count = 24
    """Frames that the table must count of a clip; broken clips have fewer."""


def _find(found: Found, settings: Settings) -> None:
    """Reads the tables whose videos are used."""
    rows = [(row, _TRAIN_TEST) for row in found.rows(_TRAIN_TEST)]
    if "split" not in rows[0][0]:
        found.note("labels_train_test.csv has no column is_test, so its test videos are drawn")
    if settings.test == "test_1080p":
        rows = [(row, labels) for row, labels in rows if _SPLITS.get(row.get("split", "")) != "test"]
    if settings.test != "test":
        rows += [(row, _TEST_1080P) for row in found.rows(_TEST_1080P)]
    long = [(row, labels) for row, labels in rows if not _is_short(row.get("frames", ""), settings.shortest)]
    if len(long) < len(rows):
        found.note(f"{len(rows) - len(long)} clips of fewer than {settings.shortest} frames are left out")
    for row, labels in long:
        found.add(row, labels)


def _is_short(frames: str, shortest: int) -> bool:
    return frames.split(".")[0].isdecimal() and int(frames.split(".")[0]) < shortest


_, scales, collect, survey = described(
    __name__,
    FACTS,
    settings=Settings,
    find=_find,
    splits=_SPLITS,
    paths=["{name}.mp4", "{name}"],
    video_id="{name}",
)
