"""The teacher, turned towards opinion scores: the first half of InternVQA's recipe, before anything is cached.

The trunk below the trainable blocks is frozen, so it runs once over the labelled clips and its tokens are stored in
scratch; each epoch then trains only what is above. The epoch that does best on the validation split is used, or a later
one that is as good to a tolerance. A checkpoint that already predicts one score has its head brought to the scale of
the labels by least squares: with few labels that is most of what there is to know.

Ref: "InternVQA" (arXiv 2502.19026), section 3: all blocks but the last frozen; last block, attention pooling, norms and
a one-output head (initial scale 0.001) trained on the scores. There the teacher trains together with the student; a
target that is cached must be settled first, so here it is adapted, then frozen. Left out: its augmentations, which
change quality themselves.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cache.store import open_store
from cache.store.scratch import scratch_folder
from pipeline.core import registry
from pipeline.core.files import replacing_folder, write_rows
from pipeline.models.device import reproducible, resolve_device
from pipeline.models.internvideo2 import InternVideo2
from pipeline.models.saved_state import SavedState, identity
from pipeline.models.training import Training
from pipeline.teachers.adaptation.fine_tuning import FineTuning
from pipeline.teachers.adaptation.initial import initial_teacher
from pipeline.teachers.adaptation.labelled import labelled_clips
from pipeline.teachers.adaptation.settings import AdaptSettings
from pipeline.teachers.shared.preprocessing import Preprocessing
from pipeline.teachers.shared.saved import save_teacher

ROOMS = (
    "cache/store",
    "pipeline/core",
    "pipeline/models",
    "pipeline/teachers/shared",
    "pipeline/teachers/adaptation",
    "stages/adapt.py",
)
"""The code that an adaptation depends on, beside the teacher's own file."""


def adapt(
    settings: AdaptSettings,
    *,
    clips: Path,
    tables: Path,
    teacher: Path,
    curves: Path,
    device: str,
    scratch: Path | None = None,
) -> dict[str, Any]:
    """Adapts the selected teacher and writes it.

    Args:
        settings: the section ``adapt``.
        clips: the clip store.
        tables: the folder of ``videos.csv``, ``labels.csv`` and ``dataset.json``.
        teacher: folder to write: ``config.json``, ``model.safetensors`` and ``teacher.json``.
        curves: CSV to write, one row per epoch.
        device: ``auto``, ``cpu``, ``cuda`` …
        scratch: folder for the state of a run that is interrupted; None takes the project's own.

    Returns:
        Scalars for ``results/adapt/metrics.json``.

    Raises:
        AdaptationError: nothing to train or to validate on, or a pass-through without a checkpoint.
        CheckpointError: the checkpoint is not this teacher's.
    """
    preprocessing: Preprocessing = registry.find("teachers", settings.teacher).PREPROCESSING
    training: Training | None = None
    with reproducible(seed=settings.seed, threads=settings.threads):
        model = initial_teacher(settings)
        if settings.epochs:
            scratch = scratch or scratch_folder() / "adapt"
            training = _train(settings, model, preprocessing, clips, tables, resolve_device(device), scratch)
        with replacing_folder(teacher, durable=True) as folder:
            save_teacher(
                model.cpu(),
                folder,
                teacher=settings.teacher,
                view_set=settings.view_set,
                adapted=training is not None,
                preprocessing=preprocessing,
            )
    write_rows(curves, training.history if training else [])
    if training:
        training.forget()
    best = training.best if training else {"epoch": 0, "val_srcc": math.nan}
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": settings.epochs,
        "best_epoch": best["epoch"],
        "val_srcc": best["val_srcc"] if math.isfinite(best["val_srcc"]) else None,
    }


def _train(
    settings: AdaptSettings,
    model: InternVideo2,
    preprocessing: Preprocessing,
    clips: Path,
    tables: Path,
    device: torch.device,
    scratch: Path,
) -> Training:
    store = open_store(clips)
    splits = {split: labelled_clips(store, tables, split) for split in ("train", "val")}
    data = {"clips": store.digest(), "first weights": _digest(*model.state_dict().values())} | {
        f"labels of {split}": _digest(torch.from_numpy(part.rows), torch.from_numpy(part.mos))
        for split, part in splits.items()
    }
    rooms = (*ROOMS, f"pipeline/teachers/{settings.teacher}.py")
    saved = SavedState(scratch, identity("adapt", rooms, settings.model_dump(), data, device))
    tuning = FineTuning(settings, model, store, preprocessing, device)
    return tuning.run(splits["train"], splits["val"], scratch=scratch, saved=saved)


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
