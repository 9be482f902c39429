"""The test split, scored once: student, teacher and baselines, with the intervals that their numbers deserve.

Nothing is chosen or tuned here. The student brings its calibration; the teacher's score gets one of the same form,
fitted on validation; baselines are fitted on the training split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.agreement import Interval, paired_bootstrap_srcc
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import resolve
from pipeline.evaluation.fit_baselines import baselines
from pipeline.evaluation.metrics.shared.table import score_predictions
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.models.device import reproducible, resolve_device
from pipeline.students.data.rows import AlignedData, DataPaths, VideoRows
from pipeline.students.shared.calibration import view_variance
from pipeline.students.shared.domain import Domain
from pipeline.students.shared.model import StudentModel, load_student
from pipeline.students.shared.prediction import calibrated, describe_videos, fit_calibrations, teacher_scores


class EvaluationError(PipelineError):
    """The test split cannot be scored, or the student was made from other data."""


@dataclass(frozen=True)
class Evaluation:
    """Predictions and metrics on the test split.

    Attributes:
        entries: the test videos that have a score, ordered by ``video_id``.
        predictions: predictor → MOS per video, on the scale of its data set; ``teacher`` only where it has a score.
        metrics: predictor → metric → value.
        differences: predictor → SRCC of the student minus its SRCC, with a paired interval.
        details: rows of ``details.csv``: of each video the ends of the student's interval, whether it is called out of
            domain (0 or 1), the file's rate in kbit/s, and the student's digest; empty where unknown.
    """

    entries: list[VideoRows]
    predictions: dict[str, np.ndarray]
    metrics: dict[str, dict[str, float]]
    differences: dict[str, Interval]
    details: list[dict[str, object]]


def evaluate(settings: EvaluateSettings, paths: DataPaths, student_folder: Path, *, device: str = "auto") -> Evaluation:
    """Scores the test split.

    Args:
        settings: the section ``evaluate``.
        paths: clips, targets and tables.
        student_folder: ``models/student``.
        device: as ``runtime.device``.

    Raises:
        EvaluationError: fewer than two test videos have a score, or the student was trained from other clips.
    """
    student = load_student(student_folder)
    record = student.config.provenance or {}
    view_set = record.get("distill", {}).get("view_set", "main")
    data = AlignedData(paths, view_set)
    _check_origin(student, data)
    test = [entry for entry in data.split("test") if entry.label.mos is not None]
    if len(test) < 2:
        raise EvaluationError(f"{len(test)} test videos have a score; raise prepare.split.test")
    with reproducible(seed=settings.seed, threads=int(record.get("distill", {}).get("threads", 1))):
        student.to(resolve_device(device))
        views, vectors = describe_videos(student, data, test, description="evaluate: student")
        means = np.array([scores.mean() for scores in views])
        predictions = {"student": calibrated(student.calibrations(), test, means)}
        if (teacher := _teacher(data, test)) is not None:
            predictions["teacher"] = teacher
        for name, unit in baselines(data, test, paths.videos.parent).items():
            predictions[name] = np.array([_from_unit(entry, value) for entry, value in zip(test, unit, strict=True)])
    metrics = {name: metrics_of(test, values, settings) for name, values in predictions.items()}
    intervals = _intervals(student, test, views)
    metrics["student"] |= _interval_metrics(test, intervals)
    details = _details(student, test, intervals, vectors, paths.videos.parent)
    return Evaluation(test, predictions, metrics, _differences(test, predictions, settings), details)


def metrics_of(entries: Sequence[VideoRows], values: np.ndarray, settings: EvaluateSettings) -> dict[str, float]:
    """The metrics of a predictor, each the mean over data sets, since scores of different data sets share no scale.

    Args:
        entries: scored videos, ``n``.
        values: its predictions, shape ``(n,)``.
        settings: the section ``evaluate``.
    """
    per_dataset = [
        score_predictions(
            values[rows], mos, contents, num_resamples=settings.bootstrap, seed=settings.seed
        ).as_numbers()
        for rows, mos, contents in _by_dataset(entries)
    ]
    return {name: float(np.mean([scores[name] for scores in per_dataset])) for name in per_dataset[0]}


def prediction_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """``predictions.csv``: ``video_id,mos,teacher,student``; the teacher's is empty where it has no score."""
    return [
        {
            "video_id": entry.video.video_id,
            "mos": entry.label.mos,
            "teacher": _rounded(evaluation.predictions["teacher"][row]) if "teacher" in evaluation.predictions else "",
            "student": _rounded(evaluation.predictions["student"][row]),
        }
        for row, entry in enumerate(evaluation.entries)
    ]


def baseline_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """``baselines.csv``: ``video_id`` and one column per baseline."""
    names = [name for name in evaluation.predictions if name not in ("student", "teacher")]
    return [
        {"video_id": entry.video.video_id} | {name: _rounded(evaluation.predictions[name][row]) for name in names}
        for row, entry in enumerate(evaluation.entries)
    ]


def difference_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """``differences.csv``: SRCC of the student minus that of each other predictor, with its paired 95 % interval."""
    return [
        {"predictor": name, "srcc_difference": interval.value, "low": interval.low, "high": interval.high}
        for name, interval in evaluation.differences.items()
    ]


def _check_origin(student: StudentModel, data: AlignedData) -> None:
    """Refuses a student that was trained from clips made in another way than these."""
    made, here = student.config.view, dict(data.clips.fingerprint[data.view_set])
    if made is not None and made != here:
        keys = sorted(key for key in made.keys() | here.keys() if made.get(key) != here.get(key))
        raise EvaluationError(
            f"the student was trained on clips made in another way: {', '.join(keys)} differ; train it again"
        )


def _teacher(data: AlignedData, test: Sequence[VideoRows]) -> np.ndarray | None:
    """The teacher's predictions on the MOS scale, calibrated on validation like a student's."""
    scores, labelled = teacher_scores(data, test), data.split("val", labelled=True)
    if scores is None:
        return None
    known = teacher_scores(data, labelled)
    assert known is not None
    return calibrated(fit_calibrations(labelled, known), test, scores)


def _differences(
    entries: Sequence[VideoRows], predictions: Mapping[str, np.ndarray], settings: EvaluateSettings
) -> dict[str, Interval]:
    student = predictions["student"]

    def difference(other: np.ndarray) -> Interval:
        parts = [
            paired_bootstrap_srcc(
                student[rows], other[rows], mos, contents, num_resamples=settings.bootstrap, seed=settings.seed
            )
            for rows, mos, contents in _by_dataset(entries)
        ]
        value, low, high = np.mean([(part.value, part.low, part.high) for part in parts], axis=0)
        return Interval(value=float(value), low=float(low), high=float(high))

    constant = {name for name, values in predictions.items() if np.ptp(values) == 0.0}
    return {name: difference(values) for name, values in predictions.items() if name not in {"student"} | constant}


def _intervals(student: StudentModel, entries: Sequence[VideoRows], views: Sequence[np.ndarray]) -> np.ndarray:
    """Ends of the intervals that a score of the same video comes with, float64 ``(n, 2)``."""
    known = student.calibrations()
    ends = []
    for entry, scores in zip(entries, views, strict=True):
        fit = known[entry.video.dataset]
        ends.append(fit.interval(float(fit(np.asarray(scores.mean()))), view_variance(fit(scores))))
    return np.array(ends)


def _interval_metrics(entries: Sequence[VideoRows], intervals: np.ndarray) -> dict[str, float]:
    """Share of the test videos whose score lies in its interval, and mean width as a share of the scale."""
    mos = np.array([entry.label.mos for entry in entries], dtype=np.float64)
    lengths = np.array([entry.scale.high - entry.scale.low for entry in entries])
    inside = (intervals[:, 0] <= mos) & (mos <= intervals[:, 1])
    return {
        "interval_coverage": float(inside.mean()),
        "interval_width": float(((intervals[:, 1] - intervals[:, 0]) / lengths).mean()),
    }


def _details(
    student: StudentModel,
    entries: Sequence[VideoRows],
    intervals: np.ndarray,
    vectors: np.ndarray,
    data_root: Path,
) -> list[dict[str, object]]:
    domain = Domain.from_dict(student.config.domain) if student.config.domain else None
    far = None if domain is None else domain.distance(vectors) > domain.threshold
    digest = student.digest()
    return [
        {
            "video_id": entry.video.video_id,
            "low": _rounded(intervals[row, 0]),
            "high": _rounded(intervals[row, 1]),
            "out_of_domain": "" if far is None else int(far[row]),
            "kilobits_per_second": _rate(entry, data_root),
            "model": digest,
        }
        for row, entry in enumerate(entries)
    ]


def _rate(entry: VideoRows, data_root: Path) -> float | str:
    """Of the file, in kbit/s; empty where its size or length is not known."""
    video = entry.video
    if not (video.fps and video.num_frames):
        return ""
    try:
        size = resolve(data_root, video.path).stat().st_size
    except OSError:
        return ""
    return round(size * 8e-3 * video.fps / video.num_frames, 3)


def _by_dataset(entries: Sequence[VideoRows]) -> list[tuple[np.ndarray, np.ndarray, list[str]]]:
    """Rows, scores and contents of each data set."""
    groups = []
    for name in sorted({entry.video.dataset for entry in entries}):
        rows = np.array([index for index, entry in enumerate(entries) if entry.video.dataset == name])
        mos = np.array([entries[index].label.mos for index in rows], dtype=np.float64)
        groups.append((rows, mos, [entries[index].label.content for index in rows]))
    return groups


def _from_unit(entry: VideoRows, value: float) -> float:
    return float(entry.scale.low + value * (entry.scale.high - entry.scale.low))


def _rounded(value: float) -> float:
    return round(float(value), 6)
