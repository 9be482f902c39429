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
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cache import Store, open_store
from pipeline import registry
from pipeline.digests import file_digest
from pipeline.errors import PipelineError
from pipeline.fine_tuning import FineTuning, Labelled, keeps_head
from pipeline.manifest import Label, ScoreScale, Video, labels_of, read_labels, read_scales, read_videos
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, load_checkpoint
from pipeline.models.internvideo2.loading import flatten_checkpoint
from pipeline.models.internvideo2.reading import read_checkpoint
from pipeline.models.preprocessing import Preprocessing
from pipeline.models.stem import init_dct
from pipeline.optimisation import best_epoch, reproducible, resolve_device
from pipeline.params import AdaptSettings
from pipeline.records import replacing, replacing_folder

SHIPPED = Path("models/pretrained")
DESCRIPTION = "teacher.json"
TEACHER_FORMAT = 1
"""Raised when a reader of the version before would misread ``models/teacher/``; without a number it is 1."""


class AdaptationError(PipelineError):
    """The teacher cannot be adapted with these settings and data."""


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
            train, val = (_labelled(store, tables, split) for split in ("train", "val"))
            tuning = FineTuning(settings, model, store, preprocessing, resolve_device(device))
            history = tuning.run(train, val)
        with replacing_folder(teacher) as folder:
            _save(model.cpu(), folder, settings, preprocessing)
    _write_curves(curves, history)
    best = history[best_epoch(history, settings.val_tolerance) - 1] if history else None
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": settings.epochs,
        "best_epoch": int(best["epoch"]) if best else 0,
        "val_srcc": best["val_srcc"] if best and math.isfinite(best["val_srcc"]) else None,
    }


def first_weights(settings: AdaptSettings) -> Path:
    """Where the teacher's weights before adaptation lie: the checkpoint, or the folder of those shipped with it."""
    return Path(settings.checkpoint) if settings.checkpoint else SHIPPED / settings.teacher


def initial_teacher(settings: AdaptSettings, *, from_nothing: bool = False) -> InternVideo2:
    """The teacher before adaptation: from the checkpoint, the weights shipped with it, or initial values.

    Args:
        settings: the section ``adapt``.
        from_nothing: initial values, whatever checkpoint there is.

    Raises:
        AdaptationError: ``epochs`` is 0 and there is no checkpoint to pass through.
    """
    module = registry.find("teachers", settings.teacher)
    config: InternVideo2Config = module.config()
    source = first_weights(settings)
    if from_nothing or not (settings.checkpoint or (source / "model.safetensors").is_file()):
        if not (settings.epochs or from_nothing):
            raise AdaptationError(
                "adapt.epochs is 0, which passes a checkpoint through, but adapt.checkpoint is null and "
                f"{settings.teacher} ships no weights; name a checkpoint, or train with epochs > 0"
            )
        model = InternVideo2(_with_head(config, 1))
        init_dct(model.patch_embed.proj)
    elif settings.epochs:
        model = load_checkpoint(source, _with_head(config, 1), new_head=not _predicts_one_score(source))
        if keeps_head(model):
            return model
    else:
        return _passed_through(source, config)
    head = model.head
    if not isinstance(head, torch.nn.Linear):
        raise AdaptationError(f"{settings.teacher} has no head to train")
    torch.nn.init.trunc_normal_(head.weight, std=0.02)
    with torch.no_grad():
        head.weight.mul_(settings.head_init_scale)
        head.bias.fill_(0.5)
    return model


def _predicts_one_score(source: Path) -> bool:
    head = flatten_checkpoint(read_checkpoint(source), source).get("head.weight")
    return head is not None and len(head) == 1


def _passed_through(source: Path, config: InternVideo2Config) -> InternVideo2:
    """A checkpoint with its own head; without one the model has none, so that meaningless logits cannot be cached."""
    stored = load_checkpoint(source)
    has_head = stored.load_report is not None and stored.load_report.has_trained_head
    return load_checkpoint(source, _with_head(config, stored.config.num_classes if has_head else 0))


def _labelled(store: Store, tables: Path, split: str) -> Labelled:
    """The clips of a split whose scores may be used; videos that failed to render are left out.

    Raises:
        AdaptationError: there are fewer than two.
    """
    videos = read_videos(tables / "videos.csv")
    labels = labels_of(videos, read_labels(tables / "labels.csv"))
    scales = read_scales(tables / "dataset.json")
    rows, mos, contents = [], [], []
    for video, label in zip(videos, labels, strict=True):
        of_video = store.rows_of(video.video_id)
        if label.split == split and label.labelled and label.mos is not None and np.all(store.status[of_video] == 1):
            rows.append(of_video)
            mos.append(_to_unit(label, video, scales))
            contents.append(label.content)
    if len(rows) < 2:
        raise AdaptationError(
            f"got {len(rows)} labelled videos in the {split} split, expected at least 2; "
            "raise prepare.labelled_fraction or the split's share"
        )
    return Labelled(rows=np.stack(rows), mos=np.array(mos, dtype=np.float32), contents=tuple(contents))


def _to_unit(label: Label, video: Video, scales: dict[str, ScoreScale]) -> float:
    scale = scales[video.dataset]
    assert label.mos is not None
    return (label.mos - scale.low) / (scale.high - scale.low)


def _with_head(config: InternVideo2Config, num_classes: int) -> InternVideo2Config:
    return InternVideo2Config(**{**config.to_dict(), "num_classes": num_classes})


def _save(model: InternVideo2, folder: Path, settings: AdaptSettings, preprocessing: Preprocessing) -> None:
    model.eval().save_pretrained(folder)
    description = {
        "format_version": TEACHER_FORMAT,
        "teacher": settings.teacher,
        "view_set": settings.view_set,
        "adapted": settings.epochs > 0,
        "weights_sha256": file_digest(folder / "model.safetensors"),
        "preprocessing": asdict(preprocessing),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def _write_curves(path: Path, history: list[dict[str, float]]) -> None:
    names = ["epoch", "train_loss", "val_loss", "val_srcc"]
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
