"""What ``evaluate`` leaves in ``results/evaluate/``: the rows of its tables, and the few numbers that DVC shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.manifest import resolve
from pipeline.evaluation.evaluate import Evaluation
from pipeline.students.data.rows import VideoRows


def summary(evaluation: Evaluation) -> dict[str, float]:
    """``summary.json``, the metrics that DVC shows beside an experiment.

    Returns:
        SRCC on the test split of ``student``, ``teacher`` and ``hand_features`` (as far as they are there);
        ``coverage``, the share of test scores inside the student's 95 % interval; ``parameters`` of the student.
    """
    metrics = evaluation.metrics
    shown = {name: metrics[name]["srcc"] for name in ("student", "teacher", "hand_features") if name in metrics}
    return shown | {"coverage": metrics["student"]["interval_coverage"], "parameters": evaluation.parameters}


def prediction_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """``predictions.csv``: ``video_id,mos,teacher,student``; the teacher's is empty where it has no score."""
    teacher = evaluation.predictions.get("teacher")
    return [
        {
            "video_id": entry.video.video_id,
            "mos": entry.label.mos,
            "teacher": "" if teacher is None else _rounded(teacher[row]),
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


def detail_rows(evaluation: Evaluation, data_root: Path) -> list[dict[str, object]]:
    """``details.csv``: the ends of the student's interval, whether a video is out of domain, its rate and the model.

    Args:
        evaluation: of the test split.
        data_root: what the paths in ``videos.csv`` are relative to.
    """
    far: Sequence[object] = [""] * len(evaluation.entries)
    if evaluation.out_of_domain is not None:
        far = evaluation.out_of_domain.astype(int).tolist()
    return [
        {
            "video_id": entry.video.video_id,
            "low": _rounded(evaluation.intervals[row, 0]),
            "high": _rounded(evaluation.intervals[row, 1]),
            "out_of_domain": far[row],
            "kilobits_per_second": _rate(entry, data_root),
            "model": evaluation.model,
        }
        for row, entry in enumerate(evaluation.entries)
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


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 6)
