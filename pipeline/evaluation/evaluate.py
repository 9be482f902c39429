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
        intervals: ends of the intervals that the student's scores come with, float64, shape ``(n, 2)``.
        out_of_domain: whether the student calls a video unlike its training videos, bool, shape ``(n,)``; None where
            the student does not know its domain.
        parameters: how many the student has.
        model: the student's digest.
    """

    entries: list[VideoRows]
    predictions: dict[str, np.ndarray]
    metrics: dict[str, dict[str, float]]
    differences: dict[str, Interval]
    intervals: np.ndarray
    out_of_domain: np.ndarray | None
    parameters: int
    model: str


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
        predictions |= _others(data, test, paths.videos.parent)
    metrics = {name: metrics_of(test, values, settings) for name, values in predictions.items()}
    intervals = _intervals(student, test, views)
    metrics["student"] |= _interval_metrics(test, intervals)
    domain = Domain.from_dict(student.config.domain) if student.config.domain else None
    return Evaluation(
        entries=test,
        predictions=predictions,
        metrics=metrics,
        differences=_differences(test, predictions, settings),
        intervals=intervals,
        out_of_domain=None if domain is None else domain.distance(vectors) > domain.threshold,
        parameters=student.num_parameters(),
        model=student.digest(),
    )


def metrics_of(entries: Sequence[VideoRows], values: np.ndarray, settings: EvaluateSettings) -> dict[str, float]:
    """The metrics of a predictor, each the mean over data sets, since scores of different data sets share no scale.

    Args:
        entries: scored videos, ``n``.
        values: its predictions, shape ``(n,)``.
        settings: the section ``evaluate``.
    """
    per_dataset = [
        score_predictions(values[rows], mos, contents, num_resamples=settings.bootstrap, seed=settings.seed)
        for rows, mos, contents in _by_dataset(entries)
    ]
    return {name: float(np.mean([scores[name] for scores in per_dataset])) for name in per_dataset[0]}


def _check_origin(student: StudentModel, data: AlignedData) -> None:
    """Refuses a student that was trained from clips made in another way than these."""
    made, here = student.config.view, dict(data.clips.fingerprint[data.view_set])
    if made is not None and made != here:
        keys = sorted(key for key in made.keys() | here.keys() if made.get(key) != here.get(key))
        raise EvaluationError(
            f"the student was trained on clips made in another way: {', '.join(keys)} differ; train it again"
        )


def _others(data: AlignedData, test: Sequence[VideoRows], data_root: Path) -> dict[str, np.ndarray]:
    """Predictions of the teacher, where its head is a score, and of the baselines, on the MOS scale."""
    teacher = _teacher(data, test)
    found = {} if teacher is None else {"teacher": teacher}
    for name, unit in baselines(data, test, data_root).items():
        found[name] = np.array([entry.scale.from_unit(float(value)) for entry, value in zip(test, unit, strict=True)])
    return found


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
    lengths = np.array([entry.scale.length for entry in entries])
    inside = (intervals[:, 0] <= mos) & (mos <= intervals[:, 1])
    return {
        "interval_coverage": float(inside.mean()),
        "interval_width": float(((intervals[:, 1] - intervals[:, 0]) / lengths).mean()),
    }


def _by_dataset(entries: Sequence[VideoRows]) -> list[tuple[np.ndarray, np.ndarray, list[str]]]:
    """Rows, scores and contents of each data set."""
    groups = []
    for name in sorted({entry.video.dataset for entry in entries}):
        rows = np.array([index for index, entry in enumerate(entries) if entry.video.dataset == name])
        mos = np.array([entries[index].label.mos for index in rows], dtype=np.float64)
        groups.append((rows, mos, [entries[index].label.content for index in rows]))
    return groups
