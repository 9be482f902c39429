"""The teacher, turned towards opinion scores: the first half of InternVQA's recipe, before anything is cached.

The trunk below the trainable blocks is frozen, so it runs once over the labelled clips and its tokens are kept in
scratch; each epoch then trains only what is above. The epoch that does best on the validation split is kept, or a later
one that is as good to a tolerance. A checkpoint that already predicts one score keeps its head, brought to the scale of
the labels by least squares: with few labels that is most of what there is to know.

Ref: "InternVQA" (arXiv 2502.19026), section 3: all blocks but the last frozen; last block, attention pooling, norms and
a one-output head (initial scale 0.001) trained on the scores. There the teacher trains together with the student; a
target that is cached must be settled first, so here it is adapted, then frozen. Left out: its augmentations, which
change quality themselves.
"""

import csv
import math
from pathlib import Path
from typing import Any

from cache.store import open_store
from pipeline.core import registry
from pipeline.core.files import replacing, replacing_folder
from pipeline.models.device import reproducible, resolve_device
from pipeline.models.optimisation import best_epoch
from pipeline.teachers.adaptation.fine_tuning import FineTuning
from pipeline.teachers.adaptation.initial import initial_teacher
from pipeline.teachers.adaptation.labelled import labelled_clips
from pipeline.teachers.adaptation.settings import AdaptSettings
from pipeline.teachers.shared.preprocessing import Preprocessing
from pipeline.teachers.shared.saved import save_teacher


def adapt(
    settings: AdaptSettings,
    *,
    clips: Path,
    tables: Path,
    teacher: Path,
    curves: Path,
    device: str,
) -> dict[str, Any]:
    """Adapts the selected teacher and writes it.

    Args:
        settings: the section ``adapt``.
        clips: the clip store.
        tables: the folder of ``videos.csv``, ``labels.csv`` and ``dataset.json``.
        teacher: folder to write: ``config.json``, ``model.safetensors`` and ``teacher.json``.
        curves: CSV to write, one row per epoch.
        device: ``auto``, ``cpu``, ``cuda`` …

    Returns:
        Scalars for ``results/adapt/metrics.json``.

    Raises:
        AdaptationError: nothing to train or to validate on, or a pass-through without a checkpoint.
        CheckpointError: the checkpoint is not this teacher's.
    """
    preprocessing: Preprocessing = registry.find("teachers", settings.teacher).PREPROCESSING
    with reproducible(seed=settings.seed, threads=settings.threads):
        model = initial_teacher(settings)
        history: list[dict[str, float]] = []
        if settings.epochs:
            store = open_store(clips)
            train, val = (labelled_clips(store, tables, split) for split in ("train", "val"))
            tuning = FineTuning(settings, model, store, preprocessing, resolve_device(device))
            history = tuning.run(train, val)
        with replacing_folder(teacher) as folder:
            save_teacher(
                model.cpu(),
                folder,
                teacher=settings.teacher,
                view_set=settings.view_set,
                adapted=settings.epochs > 0,
                preprocessing=preprocessing,
            )
    _write_curves(curves, history)
    best = history[best_epoch(history, settings.val_tolerance) - 1] if history else None
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": settings.epochs,
        "best_epoch": int(best["epoch"]) if best else 0,
        "val_srcc": best["val_srcc"] if best and math.isfinite(best["val_srcc"]) else None,
    }


def _write_curves(path: Path, history: list[dict[str, float]]) -> None:
    names = ["epoch", "train_loss", "val_loss", "val_srcc"]
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
