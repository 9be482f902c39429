"""The test split as the page needs it: each video with its true and predicted scores and what is known of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.manifest import Label, Video, read_labels, read_videos
from pipeline.reporting.files import ReportError, number_in, read_table

_PREDICTION_COLUMNS = ("video_id", "mos", "teacher", "student")
_DETAIL_COLUMNS = ("low", "high", "out_of_domain", "kilobits_per_second")


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
    table = read_table(path)
    if table is None:
        raise ReportError(f"{path} is missing or empty; run the stage evaluate first")
    if table.header[: len(_PREDICTION_COLUMNS)] != _PREDICTION_COLUMNS:
        raise ReportError(f"{path}: got the header {','.join(table.header)}; expected {','.join(_PREDICTION_COLUMNS)}")
    if not table.rows:
        raise ReportError(f"{path} has no rows; the test split is empty: raise prepare.split.test")
    labels = _by_id(read_labels(data / "labels.csv")) if (data / "labels.csv").exists() else None
    videos = _by_id(read_videos(data / "videos.csv")) if (data / "videos.csv").exists() else None
    details = _read_details(path.with_name("details.csv"))
    predictions = []
    for number, row in enumerate(table.rows, start=2):
        where = f"{path}, row {number}"
        if labels is not None and row[0] not in labels:
            raise ReportError(f"{where}: labels.csv lacks the video {row[0]!r}; run the stage evaluate again")
        predictions.append(_prediction(row, labels, videos, details.get(row[0], {}), where))
    return sorted(predictions, key=lambda prediction: prediction.video_id)


def _read_details(path: Path) -> dict[str, dict[str, float]]:
    """Video → what ``details.csv`` says of it, without what is empty; nothing where the file is absent."""
    table = read_table(path)
    if table is None:
        return {}
    if missing := sorted({"video_id", *_DETAIL_COLUMNS} - set(table.header)):
        raise ReportError(f"{path}: got the header {','.join(table.header)}; it lacks {', '.join(missing)}")
    columns = {name: table.text(name) for name in _DETAIL_COLUMNS}
    return {
        name: {
            column: number_in(texts[row], f"{path}, row {row + 2}, {column}")
            for column, texts in columns.items()
            if texts[row]
        }
        for row, name in enumerate(table.text("video_id"))
    }


def _by_id(rows: Any) -> dict[str, Any]:
    return {row.video_id: row for row in rows}


def _prediction(
    row: tuple[str, ...],
    labels: dict[str, Label] | None,
    videos: dict[str, Video] | None,
    detail: dict[str, float],
    where: str,
) -> Prediction:
    label = labels[row[0]] if labels else None
    video = videos.get(row[0]) if videos else None
    return Prediction(
        video_id=row[0],
        mos=number_in(row[1], f"{where}, mos"),
        teacher=number_in(row[2], f"{where}, teacher") if row[2] else None,
        student=number_in(row[3], f"{where}, student"),
        content=label.content if label else "",
        codec=label.codec if label else "",
        level=label.level if label else "",
        dataset=video.dataset if video else "",
        video=video,
        low=detail.get("low"),
        high=detail.get("high"),
        rate=detail.get("kilobits_per_second"),
        out_of_domain=bool(detail["out_of_domain"]) if "out_of_domain" in detail else None,
    )
