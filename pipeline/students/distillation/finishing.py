"""What a trained student gets beside its weights: calibrations, domain, and the record of what it was made from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.core.agreement import Interval
from pipeline.models.training import Training
from pipeline.students.data.rows import AlignedData, VideoRows
from pipeline.students.distillation.settings import DistillSettings
from pipeline.students.losses.shared.weighting import WeightedLosses
from pipeline.students.shared.model import StudentModel
from pipeline.students.shared.prediction import (
    describe_domain,
    describe_videos,
    fit_calibrations,
    srcc_with_interval,
)


def finish(
    student: StudentModel,
    data: AlignedData,
    settings: DistillSettings,
    training: Training,
    losses: WeightedLosses,
    train_videos: Sequence[VideoRows],
    digests: Mapping[str, str],
) -> dict[str, Any]:
    """Calibrates a student on validation, and notes in its configuration what it was made from.

    Args:
        student: with the weights of its best epoch; afterwards on the CPU, in evaluation mode.
        data: of the run.
        settings: of the run.
        training: that is over.
        losses: that it was trained with.
        train_videos: that it was trained on.
        digests: of the inputs.

    Returns:
        Scalars of the run; the same whenever it is run again.
    """
    config, labelled = student.config, data.split("val", labelled=True)
    views, _ = describe_videos(student, data, labelled, description="distill: calibrate")
    config.calibrations = {name: fit.as_dict() for name, fit in fit_calibrations(labelled, views).items()}
    config.scales = {entry.video.dataset: vars(entry.scale) for entry in data.videos}
    config.domain = describe_domain(student, data, train_videos, data.split("val")).as_dict()
    config.num_views = data.clips.views_per_video
    config.view = dict(data.clips.fingerprint[settings.view_set])
    agreement = srcc_with_interval(labelled, np.array([scores.mean() for scores in views]), seed=settings.seed)
    metrics = _metrics(training, agreement, student, data, len(train_videos))
    config.provenance = {
        "digests": dict(digests),
        "teacher": dict(data.targets.fingerprint[min(data.targets.arrays)]),
        "distill": settings.model_dump(mode="json"),
        "losses": {name: weight for name, (weight, _) in losses.terms.items()},
        "metrics": {name: value if np.isfinite(value) else None for name, value in metrics.items()},
    }
    student.cpu().eval()
    return metrics


def _metrics(
    training: Training, agreement: Interval, student: StudentModel, data: AlignedData, num_videos: int
) -> dict[str, Any]:
    best = training.best
    return {
        "best_epoch": int(best["epoch"]),
        "epochs": training.epochs,
        "val_srcc": best["val_srcc"],
        "val_loss": best["val_loss"],
        "val_all_views_srcc": agreement.value,
        "val_all_views_srcc_low": agreement.low,
        "val_all_views_srcc_high": agreement.high,
        "parameters": student.num_parameters(),
        "flops": student.flops(),
        "train_videos": num_videos,
        "labelled_train_videos": len(data.split("train", labelled=True)),
        "val_videos": len(data.split("val")),
        "failed_videos": len(data.failed),
    }
