"""The teacher, turned towards opinion scores: the first half of InternVQA's recipe, before anything is cached.

The trunk below the trainable blocks is frozen, so it runs once over the labelled clips and its tokens are kept in
scratch; each epoch then trains only what is above. The epoch that does best on the validation split is kept.

Ref: "InternVQA" (arXiv 2502.19026), section 3: all blocks but the last frozen; last block, attention pooling, norms and
a one-output head (initial scale 0.001) trained on the scores. There the teacher trains together with the student; a
target that is cached must be settled first, so here it is adapted, then frozen. Left out: its augmentations, which
change quality themselves.
"""

import csv
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cache import Store, open_store
from pipeline import registry
from pipeline.digests import file_digest
from pipeline.errors import PipelineError
from pipeline.manifest import Label, ScoreScale, Video, labels_of, read_labels, read_scales, read_videos
from pipeline.metrics import srcc
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, load_checkpoint
from pipeline.models.preprocessing import Preprocessing, normalise
from pipeline.models.stem import init_dct
from pipeline.optimisation import (
    cosine_with_warmup,
    depths_by_name,
    parameter_groups,
    reproducible,
    resolve_device,
    set_learning_rate,
)
from pipeline.params import AdaptSettings
from pipeline.progress import track

SHIPPED = Path("models/pretrained")
DESCRIPTION = "teacher.json"
_TRUNK_BATCH_CLIPS = 8


class AdaptationError(PipelineError):
    """The teacher cannot be adapted with these settings and data."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The clips of one split whose scores may be used.

    Attributes:
        rows: int64 ``videos views``, rows of the clip store.
        mos: float32 ``videos``, mapped to 0 .. 1 by the data set's scale.
    """

    rows: NDArray[np.int64]
    mos: NDArray[np.float32]


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
            history = _Trainer(settings, model, store, preprocessing, resolve_device(device)).run(train, val)
        _save(model.cpu(), teacher, settings, preprocessing)
    _write_curves(curves, history)
    best = max(history, key=lambda epoch: epoch["val_srcc"], default=None)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": settings.epochs,
        "best_epoch": int(best["epoch"]) if best else 0,
        "val_srcc": best["val_srcc"] if best else None,
    }


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
    source = Path(settings.checkpoint) if settings.checkpoint else SHIPPED / settings.teacher
    if from_nothing or not (settings.checkpoint or (source / "model.safetensors").is_file()):
        if not (settings.epochs or from_nothing):
            raise AdaptationError(
                "adapt.epochs is 0, which passes a checkpoint through, but adapt.checkpoint is null and "
                f"{settings.teacher} ships no weights; name a checkpoint, or train with epochs > 0"
            )
        model = InternVideo2(_with_head(config, 1))
        init_dct(model.patch_embed.proj)
    elif settings.epochs:
        model = load_checkpoint(source, _with_head(config, 1), new_head=True)
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


def _passed_through(source: Path, config: InternVideo2Config) -> InternVideo2:
    """A checkpoint with its own head; without one the model has none, so that meaningless logits cannot be cached."""
    stored = load_checkpoint(source)
    has_head = stored.load_report is not None and stored.load_report.has_trained_head
    return load_checkpoint(source, _with_head(config, stored.config.num_classes if has_head else 0))


class _Trainer:
    """One run of adaptation: the frozen trunk once, then the epochs above it."""

    def __init__(
        self,
        settings: AdaptSettings,
        model: InternVideo2,
        store: Store,
        preprocessing: Preprocessing,
        device: torch.device,
    ) -> None:
        self._settings = settings
        self._store = store
        self._preprocessing = preprocessing
        self._device = device
        depth = model.config.depth
        trainable = depth if settings.trainable_blocks == "all" else min(settings.trainable_blocks, depth)
        self._whole = settings.trainable_blocks == "all"
        if not self._whole:
            model.freeze_trunk(trainable)
        self._model = model.to(device)
        self._optimiser = torch.optim.AdamW(
            parameter_groups(
                model,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
                layer_decay=settings.layer_decay,
                depth_of=depths_by_name(model),
            )
        )

    def run(self, train: Labelled, val: Labelled) -> list[dict[str, float]]:
        """Trains, and leaves the model with the weights of its best epoch.

        Returns:
            One mapping per epoch: ``epoch``, ``train_loss``, ``val_loss``, ``val_srcc``.
        """
        history: list[dict[str, float]] = []
        best_state: dict[str, Tensor] = {}
        with tempfile.TemporaryDirectory(prefix="adapt-", dir=_scratch()) as scratch:
            train_input = self._inputs(train, Path(scratch) / "train", "trunk over train")
            val_input = self._inputs(val, Path(scratch) / "val", "trunk over val")
            order = np.random.Generator(np.random.Philox(self._settings.seed))
            with track("adapt: train", self._settings.epochs) as advance:
                for epoch in range(self._settings.epochs):
                    loss = self._epoch(epoch, train, train_input, order)
                    val_loss, val_srcc = self._validate(val, val_input)
                    if not history or val_srcc > max(entry["val_srcc"] for entry in history):
                        best_state = {name: value.detach().clone() for name, value in self._model.state_dict().items()}
                    history.append({"epoch": epoch + 1, "train_loss": loss, "val_loss": val_loss, "val_srcc": val_srcc})
                    advance(note=f"loss {loss:.4f}, val SRCC {val_srcc:.3f}")
        self._model.load_state_dict(best_state)
        return history

    def _inputs(self, labelled: Labelled, path: Path, description: str) -> Callable[[NDArray[np.int64]], Tensor]:
        """A function from positions in ``labelled.rows.ravel()`` to what the trainable part takes."""
        rows = labelled.rows.ravel()
        if self._whole:
            return lambda positions: self._pixels(rows[positions])
        config = self._model.config
        shape = (len(rows), 1 + config.num_patches, config.embed_dim)
        tokens = np.memmap(path, dtype=np.float32, mode="w+", shape=shape)
        self._model.eval()
        with track(f"adapt: {description}", len(rows)) as advance:
            for batch in _batches(np.arange(len(rows)), _TRUNK_BATCH_CLIPS):
                tokens[batch] = self._model.forward_trunk(self._pixels(rows[batch])).float().cpu().numpy()
                advance(len(batch))
        return lambda positions: torch.from_numpy(tokens[positions]).to(self._device)

    def _pixels(self, rows: NDArray[np.int64]) -> Tensor:
        clips = torch.from_numpy(self._store.read(self._settings.view_set, rows)).to(self._device)
        return normalise(clips, self._preprocessing.mean, self._preprocessing.std)

    def _score(self, inputs: Tensor) -> Tensor:
        output = self._model(inputs) if self._whole else self._model.forward_from(inputs)
        return output.logits[:, 0]

    def _epoch(
        self,
        epoch: int,
        train: Labelled,
        inputs: Callable[[NDArray[np.int64]], Tensor],
        order: np.random.Generator,
    ) -> float:
        """Every video once, each with one of its views."""
        num_videos, num_views = train.rows.shape
        videos = order.permutation(num_videos)
        positions = videos * num_views + order.integers(num_views, size=num_videos)
        steps = -(-num_videos // self._settings.batch_size)
        self._model.train()
        losses = []
        for step, batch in enumerate(_batches(positions, self._settings.batch_size)):
            factor = cosine_with_warmup(
                epoch * steps + step,
                total=self._settings.epochs * steps,
                warmup=round(self._settings.warmup_epochs * steps),
            )
            set_learning_rate(self._optimiser, factor)
            mos = torch.from_numpy(train.mos[batch // num_views]).to(self._device)
            loss = functional.mse_loss(self._score(inputs(batch)), mos)
            self._optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            self._optimiser.step()
            losses.append(loss.item() * len(batch))
        return sum(losses) / num_videos

    @torch.no_grad()
    def _validate(self, val: Labelled, inputs: Callable[[NDArray[np.int64]], Tensor]) -> tuple[float, float]:
        """Loss and SRCC of the mean over each video's views."""
        self._model.eval()
        positions = np.arange(val.rows.size)
        scores = torch.cat([self._score(inputs(batch)).cpu() for batch in _batches(positions, _TRUNK_BATCH_CLIPS)])
        predicted = scores.double().numpy().reshape(val.rows.shape).mean(axis=1)
        return float(np.mean((predicted - val.mos) ** 2)), srcc(predicted, val.mos.astype(np.float64))


def _labelled(store: Store, tables: Path, split: str) -> Labelled:
    """The clips of a split whose scores may be used; videos that failed to render are left out.

    Raises:
        AdaptationError: there are fewer than two.
    """
    videos = read_videos(tables / "videos.csv")
    labels = labels_of(videos, read_labels(tables / "labels.csv"))
    scales = read_scales(tables / "dataset.json")
    rows, mos = [], []
    for video, label in zip(videos, labels, strict=True):
        of_video = store.rows_of(video.video_id)
        if label.split == split and label.labelled and label.mos is not None and np.all(store.status[of_video] == 1):
            rows.append(of_video)
            mos.append(_to_unit(label, video, scales))
    if len(rows) < 2:
        raise AdaptationError(
            f"got {len(rows)} labelled videos in the {split} split, expected at least 2; "
            "raise prepare.labelled_fraction or the split's share"
        )
    return Labelled(rows=np.stack(rows), mos=np.array(mos, dtype=np.float32))


def _to_unit(label: Label, video: Video, scales: dict[str, ScoreScale]) -> float:
    scale = scales[video.dataset]
    assert label.mos is not None
    return (label.mos - scale.low) / (scale.high - scale.low)


def _with_head(config: InternVideo2Config, num_classes: int) -> InternVideo2Config:
    return InternVideo2Config(**{**config.to_dict(), "num_classes": num_classes})


def _batches(items: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _scratch() -> Path:
    folder = Path(".teachonce/scratch")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _save(model: InternVideo2, folder: Path, settings: AdaptSettings, preprocessing: Preprocessing) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.eval().save_pretrained(folder)
    description = {
        "teacher": settings.teacher,
        "view_set": settings.view_set,
        "adapted": settings.epochs > 0,
        "weights_sha256": file_digest(folder / "model.safetensors"),
        "preprocessing": asdict(preprocessing),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def _write_curves(path: Path, history: list[dict[str, float]]) -> None:
    names = ["epoch", "train_loss", "val_loss", "val_srcc"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
