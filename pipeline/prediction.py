"""A prediction per video: the mean over its views, each video's views being one forward pass of their own.

Because the unit is fixed, a video's prediction does not depend on which other videos are scored beside it.
"""

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.aligned import AlignedData, VideoRows
from pipeline.metrics import srcc
from pipeline.progress import track
from pipeline.students import StudentModel


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
    student.eval()
    scores = np.empty(len(entries))
    with torch.no_grad(), track(description, len(entries)) as advance:
        for index, entry in enumerate(entries):
            clips = data.batch(entry.rows).clips.to(student.device)
            scores[index] = student(clips).score.double().mean().item()
            advance()
    return scores


def teacher_scores(data: AlignedData, entries: Sequence[VideoRows]) -> np.ndarray | None:
    """The teacher's cached logit, mean over views, float64, shape ``(n,)``; None where its head is no score."""
    if "logits" not in data.targets.arrays or data.targets.arrays["logits"].shape != (1,):
        return None
    logits = data.target("logits")[:, 0].astype(np.float64)
    return np.array([logits[entry.rows].mean() for entry in entries])


def calibrated(student: StudentModel, entries: Sequence[VideoRows], scores: np.ndarray) -> np.ndarray:
    """Raw scores on the scale of each video's own data set.

    Raises:
        StudentError: the student has no calibration for one of the data sets.
    """
    return np.array(
        [
            float(student.calibration(entry.video.dataset)(np.asarray(score)))
            for entry, score in zip(entries, scores, strict=True)
        ]
    )


def mean_srcc(entries: Sequence[VideoRows], scores: np.ndarray) -> float:
    """SRCC of the means over views, averaged over data sets; NaN where it is undefined.

    Args:
        entries: videos; those without a usable score are left out.
        scores: per row of the clips.
    """
    values = []
    for name in sorted({entry.video.dataset for entry in entries}):
        pairs = [
            (float(scores[entry.rows].mean()), entry.unit_mos)
            for entry in entries
            if entry.video.dataset == name and entry.unit_mos is not None
        ]
        if len(pairs) >= 2:
            predicted, mos = np.array(pairs).T
            values.append(srcc(predicted, mos))
    return float(np.mean(values)) if values else float("nan")
