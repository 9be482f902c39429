"""Training the upper part of a teacher: the frozen trunk once over the clips, then epochs above what it gave.

Ref: "InternVQA" (arXiv 2502.19026), section 3.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cache.store import Store
from cache.store.scratch import scratch_folder
from pipeline.core.agreement import srcc
from pipeline.core.errors import PipelineError
from pipeline.core.progress import track
from pipeline.models.internvideo2 import InternVideo2
from pipeline.models.optimisation import (
    best_epoch,
    cosine_with_warmup,
    depths_by_name,
    parameter_groups,
    set_learning_rate,
)
from pipeline.models.pixels import normalise
from pipeline.teachers.adaptation.initial import keeps_head
from pipeline.teachers.adaptation.labelled import Labelled
from pipeline.teachers.adaptation.settings import AdaptSettings
from pipeline.teachers.shared.preprocessing import Preprocessing

_TRUNK_BATCH_CLIPS = 8


_Inputs = Callable[[NDArray[np.int64]], Tensor]
"""From positions in the ravelled rows to what the trainable part takes."""


class FineTuningError(PipelineError):
    """The model cannot be turned towards these scores."""


class FineTuning:
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

    def _new_optimiser(self) -> torch.optim.AdamW:
        settings = self._settings
        return torch.optim.AdamW(
            parameter_groups(
                self._model,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
                layer_decay=settings.layer_decay,
                depth_of=depths_by_name(self._model),
            )
        )

    def run(self, train: Labelled, val: Labelled) -> list[dict[str, float]]:
        """Trains, and leaves the model with the weights of its best epoch, or a later one as good.

        Args:
            train: what is trained on.
            val: what chooses the epoch, with its first ``validation_views``.

        Returns:
            One mapping per epoch: ``epoch``, ``train_loss``, ``val_loss``, ``val_srcc``. A model that keeps its head
            has an epoch 0, before any step.
        """
        val = val.first_views(self._settings.validation_views)
        with tempfile.TemporaryDirectory(prefix="adapt-", dir=_scratch()) as scratch:
            train_input = self._inputs(train, Path(scratch) / "train", "trunk over train")
            val_input = self._inputs(val, Path(scratch) / "val", "trunk over val")
            return self._fit(train, train_input, val, val_input)

    def _fit(self, train: Labelled, train_input: _Inputs, val: Labelled, val_input: _Inputs) -> list[dict[str, float]]:
        optimiser = self._new_optimiser()
        history: list[dict[str, float]] = []
        best_state: dict[str, Tensor] = {}

        def note(epoch: int, loss: float) -> str:
            nonlocal best_state
            val_loss, val_srcc = self._validate(val, val_input)
            history.append({"epoch": epoch, "train_loss": loss, "val_loss": val_loss, "val_srcc": val_srcc})
            if best_epoch(history, self._settings.val_tolerance) == len(history):
                best_state = {name: value.detach().clone() for name, value in self._model.state_dict().items()}
            return f"loss {loss:.4f}, val SRCC {val_srcc:.3f}"

        order = np.random.Generator(np.random.Philox(self._settings.seed))
        with track("adapt: train", self._settings.epochs) as advance:
            if keeps_head(self._model):
                advance(0, note=note(0, self._scale_head(train, train_input)))
            for epoch in range(self._settings.epochs):
                loss = self._epoch(epoch, train, train_input, optimiser, order)
                advance(note=note(epoch + 1, loss))
        self._model.load_state_dict(best_state)
        return history

    def _inputs(self, labelled: Labelled, path: Path, description: str) -> _Inputs:
        """What the trainable part takes; the frozen trunk runs here, once."""
        rows = labelled.rows.ravel()
        if self._whole:
            return lambda positions: self._pixels(rows[positions])
        config = self._model.config
        shape = (len(rows), 1 + config.num_patches, config.embed_dim)
        reserve(path, math.prod(shape) * np.dtype(np.float32).itemsize)
        tokens = np.memmap(path, dtype=np.float32, mode="r+", shape=shape)
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
        share = self._settings.token_share if self._model.training else 1.0
        forward = self._model if self._whole else self._model.forward_from
        return forward(inputs, token_share=share).logits[:, 0]

    @torch.no_grad()
    def _scale_head(self, train: Labelled, inputs: _Inputs) -> float:
        """Brings the head's output to the scale of the scores by least squares, and returns the mean squared error.

        Raises:
            FineTuningError: the head's output does not rise with the scores.
        """
        num_videos, num_views = train.rows.shape
        self._model.eval()
        positions = np.arange(num_videos) * num_views
        scores = torch.cat([self._score(inputs(batch)).cpu() for batch in _batches(positions, _TRUNK_BATCH_CLIPS)])
        predicted = scores.double().numpy()
        design = np.stack([predicted, np.ones(num_videos)], axis=1)
        slope, offset = np.linalg.lstsq(design, train.mos.astype(np.float64), rcond=None)[0]
        if not slope > 0:
            raise FineTuningError(
                f"the checkpoint's own head has a slope of {slope:.3g} against the scores of {num_videos} labelled "
                "videos, expected a positive one; give it more labels, turn the scores round, or drop head.* from it"
            )
        head = self._model.get_submodule("head")
        head.weight.mul_(float(slope))
        head.bias.mul_(float(slope)).add_(float(offset))
        return float(np.mean((design @ np.array([slope, offset]) - train.mos) ** 2))

    def _epoch(
        self,
        epoch: int,
        train: Labelled,
        inputs: _Inputs,
        optimiser: torch.optim.AdamW,
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
            set_learning_rate(optimiser, factor)
            mos = torch.from_numpy(train.mos[batch // num_views]).to(self._device)
            loss = functional.mse_loss(self._score(inputs(batch)), mos)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            optimiser.step()
            losses.append(loss.item() * len(batch))
        return sum(losses) / num_videos

    @torch.no_grad()
    def _scores(self, labelled: Labelled, inputs: _Inputs) -> NDArray[np.float32]:
        """Of every view, ``videos views``."""
        self._model.eval()
        positions = np.arange(labelled.rows.size)
        scores = torch.cat([self._score(inputs(batch)).cpu() for batch in _batches(positions, _TRUNK_BATCH_CLIPS)])
        return np.asarray(scores.float().numpy().reshape(labelled.rows.shape))

    @torch.no_grad()
    def _validate(self, val: Labelled, inputs: _Inputs) -> tuple[float, float]:
        """Loss and SRCC of the mean over each video's views."""
        predicted = self._scores(val, inputs).astype(np.float64).mean(axis=1)
        return float(np.mean((predicted - val.mos) ** 2)), srcc(predicted, val.mos.astype(np.float64))


def _batches(items: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def reserve(path: Path, num_bytes: int) -> None:
    """Makes a file whose room on the disk is its own, to be mapped: on a full disk a mapped hole ends the process.

    Raises:
        OSError: there is not so much room.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        else:
            file.truncate(num_bytes)


def _scratch() -> Path:
    folder = scratch_folder() / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
