"""The test split as the page needs it: each video with its true and predicted scores and what is known of it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, FiniteFloat

from pipeline.core.manifest import Video, read_labels, read_videos
from pipeline.reporting.files import ReportError, read_rows

_NUMBER = re.compile(r"^\D*?(-?\d+(?:\.\d+)?)\D*$")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A test video with its true and predicted scores, on the MOS scale of its data set.

    Attributes:
        video_id: as in ``videos.csv``.
        mos: the true score.
        student: the student's.
        teacher: the teacher's; None where it has none.
        content: the source content; empty where unknown.
        codec: empty where unknown.
        level: as the publisher writes it; empty where unknown.
        dataset: empty where unknown.
        video: its row of ``videos.csv``; None where that is absent.
        low: end of the student's 95 % interval; None where unknown.
        high: the other end.
        rate: of the file, in kbit/s; None where unknown.
        out_of_domain: whether the student calls the video unlike those of its training; None where unknown.
    """

    video_id: str
    mos: float
    student: float
    teacher: float | None
    content: str = ""
    codec: str = ""
    level: str = ""
    dataset: str = ""
    video: Video | None = None
    low: float | None = None
    high: float | None = None
    rate: float | None = None
    out_of_domain: bool | None = None

    @property
    def error(self) -> float:
        """Predicted minus true."""
        return self.student - self.mos

    @property
    def level_number(self) -> float | None:
        """The one number in a level such as ``27``, ``crf27`` or ``QP 22``; None where there is none, or several."""
        match = _NUMBER.match(self.level)
        return float(match.group(1)) if match else None


class _Scores(BaseModel):
    """A row of ``predictions.csv``."""

    video_id: str
    mos: FiniteFloat
    teacher: FiniteFloat | None
    student: FiniteFloat


class _Details(BaseModel):
    """A row of ``details.csv``."""

    video_id: str
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    out_of_domain: bool | None = None
    kilobits_per_second: FiniteFloat | None = None


def read_predictions(path: Path, data: Path) -> list[Prediction]:
    """Reads the test split's predictions, with what the tables of the data set and ``details.csv`` say beside them.

    Args:
        path: ``results/evaluate/predictions.csv``.
        data: the folder of ``labels.csv`` and ``videos.csv``, which need not be there.

    Returns:
        Ordered by ``video_id``.

    Raises:
        ReportError: the file is missing, or one is malformed.
        ManifestError: a table of ``data`` is malformed.
    """
    rows = read_rows(path, _Scores)
    if not rows:
        raise ReportError(f"{path} is missing or has no rows; run the stage evaluate first")
    labels = _by_id(read_labels(data / "labels.csv")) if (data / "labels.csv").exists() else None
    videos = _by_id(read_videos(data / "videos.csv")) if (data / "videos.csv").exists() else {}
    details = _by_id(read_rows(path.with_name("details.csv"), _Details))
    predictions = []
    for row in sorted(rows, key=lambda row: row.video_id):
        if labels is not None and row.video_id not in labels:
            raise ReportError(f"{path}: labels.csv lacks the video {row.video_id!r}; run the stage evaluate again")
        label = labels[row.video_id] if labels else None
        video = videos.get(row.video_id)
        detail = details.get(row.video_id) or _Details(video_id=row.video_id)
        predictions.append(
            Prediction(
                **dict(row),
                **{name: getattr(label, name) for name in ("content", "codec", "level") if label},
                dataset=video.dataset if video else "",
                video=video,
                low=detail.low,
                high=detail.high,
                rate=detail.kilobits_per_second,
                out_of_domain=detail.out_of_domain,
            )
        )
    return predictions


def _by_id(rows: Any) -> dict[str, Any]:
    return {row.video_id: row for row in rows}
