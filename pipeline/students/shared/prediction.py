"""A prediction per video: the mean over its views, each video's views being one forward pass of their own.

Because the unit is fixed, a video's prediction does not depend on which other videos are scored beside it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pipeline.core.agreement import Interval, bootstrap_srcc, srcc
from pipeline.core.progress import track
from pipeline.students.data.rows import AlignedData, VideoRows
from pipeline.students.shared.calibration import Calibration, CalibrationError, fit_calibration
from pipeline.students.shared.domain import MAX_VIDEOS, Domain, fit_domain, video_vector
from pipeline.students.shared.model import StudentModel

_RESAMPLES = 1000


def predict_videos(
    student: StudentModel, data: AlignedData, entries: Sequence[VideoRows], *, description: str
) -> np.ndarray:
    """Raw scores of videos.

    Args:
        student: on the device where it is to run; left in evaluation mode.
        data: where the clips are.
        entries: the videos.
        description: what the progress line says.

    Returns:
        float64, shape ``(n,)``: the mean over views of the uncalibrated score.
    """
    views, _ = describe_videos(student, data, entries, description=description)
    return np.array([scores.mean() for scores in views])


def describe_videos(
    student: StudentModel, data: AlignedData, entries: Sequence[VideoRows], *, description: str
) -> tuple[list[np.ndarray], np.ndarray]:
    """Raw scores of videos, and what describes them.

    Args:
        student: on the device where it is to run; left in evaluation mode.
        data: where the clips are.
        entries: the videos.
        description: what the progress line says.

    Returns:
        Of each video the uncalibrated scores of its views, float64, shape ``(v,)``; and its `video_vector`, float64,
        shape ``(n, d)`` together.
    """
    student.eval()
    scores: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    with torch.no_grad(), track(description, len(entries)) as advance:
        for entry in entries:
            clips = data.batch(entry.rows).clips
            output = student(clips.to(student.device))
            scores.append(output.score.double().cpu().numpy())
            vectors.append(video_vector(output.embedding.cpu().numpy(), clips.numpy()))
            advance()
    return scores, np.array(vectors)


def describe_domain(
    student: StudentModel, data: AlignedData, training: Sequence[VideoRows], validation: Sequence[VideoRows]
) -> Domain:
    """Where the training videos lie, and how far off validation videos may be.

    Args:
        student: trained.
        data: where the clips are.
        training: the training videos; many are thinned out evenly.
        validation: the validation videos.
    """
    places = np.unique(np.linspace(0, len(training) - 1, min(len(training), MAX_VIDEOS)).round().astype(int))
    chosen = [training[index] for index in places]
    vectors = [
        describe_videos(student, data, entries, description=f"distill: domain, {split}")[1]
        for split, entries in (("train", chosen), ("val", validation))
    ]
    return fit_domain(*vectors)


def teacher_scores(data: AlignedData, entries: Sequence[VideoRows]) -> np.ndarray | None:
    """The teacher's cached logit, mean over views, float64, shape ``(n,)``; None where its head is no score."""
    if "logits" not in data.targets.arrays or data.targets.arrays["logits"].shape != (1,):
        return None
    logits = data.cached.whole("logits")[:, 0].astype(np.float64)
    return np.array([logits[entry.rows].mean() for entry in entries])


def calibrated(calibrations: Mapping[str, Calibration], entries: Sequence[VideoRows], scores: np.ndarray) -> np.ndarray:
    """Raw scores on the scale of each video's own data set.

    Args:
        calibrations: data set → calibration.
        entries: the videos.
        scores: the raw score of each, shape ``(n,)``.

    Raises:
        CalibrationError: one of the data sets has no calibration.
    """
    if unknown := sorted({entry.video.dataset for entry in entries} - calibrations.keys()):
        raise CalibrationError(
            f"no calibration for the data set {', '.join(unknown)}; give its validation split labelled videos"
        )
    values = [
        calibrations[entry.video.dataset](np.asarray(score)) for entry, score in zip(entries, scores, strict=True)
    ]
    return np.array(values, dtype=np.float64)


def fit_calibrations(
    entries: Sequence[VideoRows], view_scores: Sequence[np.ndarray] | np.ndarray
) -> dict[str, Calibration]:
    """One calibration per data set.

    Args:
        entries: videos of the validation split whose score may be used.
        view_scores: of each the raw scores of its views, shape ``(v,)``, or one number.

    Raises:
        CalibrationError: a data set has fewer than two of them.
    """
    calibrations = {}
    for name in sorted({entry.video.dataset for entry in entries}):
        rows = [row for row, entry in enumerate(entries) if entry.video.dataset == name]
        scale = entries[rows[0]].scale
        calibrations[name] = fit_calibration(
            [view_scores[row] for row in rows],
            np.array([entries[row].label.mos for row in rows], dtype=np.float64),
            contents=[entries[row].label.content for row in rows],
            dataset=name,
            score_name=scale.score_name,
            scale_low=scale.low,
            scale_high=scale.high,
        )
    return calibrations


def srcc_with_interval(entries: Sequence[VideoRows], scores: np.ndarray, *, seed: int) -> Interval:
    """SRCC with its 95 % interval over contents, each averaged over data sets.

    Args:
        entries: videos whose score is known, at least two of each data set.
        scores: the prediction for each, shape ``(n,)``.
        seed: of the resamples.
    """
    parts = []
    for name in sorted({entry.video.dataset for entry in entries}):
        rows = [row for row, entry in enumerate(entries) if entry.video.dataset == name]
        mos = np.array([entries[row].label.mos for row in rows], dtype=np.float64)
        contents = [entries[row].label.content for row in rows]
        found = bootstrap_srcc(scores[rows], mos, contents, num_resamples=_RESAMPLES, seed=seed)
        parts.append((found.value, found.low, found.high))
    value, low, high = np.mean(parts, axis=0)
    return Interval(value=float(value), low=float(low), high=float(high))


def mean_srcc(entries: Sequence[VideoRows], scores: np.ndarray) -> float:
    """SRCC of the means over views, averaged over data sets; NaN where it is undefined.

    Args:
        entries: videos; those without a usable score are left out.
        scores: per row of the clips; NaN where a row was not scored, but for one per video at least.
    """
    values = []
    for name in sorted({entry.video.dataset for entry in entries}):
        pairs = [
            (float(np.nanmean(scores[entry.rows])), entry.unit_mos)
            for entry in entries
            if entry.video.dataset == name and entry.unit_mos is not None
        ]
        if len(pairs) >= 2:
            predicted, mos = np.array(pairs).T
            values.append(srcc(predicted, mos))
    return float(np.mean(values)) if values else float("nan")
