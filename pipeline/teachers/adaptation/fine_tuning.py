"""Training the upper part of a teacher: the frozen trunk once over the clips, then epochs above what it gave.

Ref: "InternVQA" (arXiv 2502.19026), section 3.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from cache.store import Store
from pipeline.core.agreement import srcc
from pipeline.core.errors import PipelineError
from pipeline.models.internvideo2 import InternVideo2
from pipeline.models.optimisation import depths_by_name, parameter_groups
from pipeline.models.pixels import normalise
from pipeline.models.saved_state import SavedState
from pipeline.models.training import Row, Training, cosine_with_warmup
from pipeline.teachers.adaptation.initial import keeps_head
from pipeline.teachers.adaptation.labelled import Labelled
from pipeline.teachers.adaptation.settings import AdaptSettings
from pipeline.teachers.adaptation.trunk import TRUNK_BATCH_CLIPS, Inputs, batches, trunk_inputs
from pipeline.teachers.shared.preprocessing import Preprocessing


class FineTuningError(PipelineError):
    """The model cannot be turned towards these scores."""


class FineTuning:
    """One run of adaptation: the frozen trunk once, then the epochs above it.

    Args:
        settings: the section ``adapt``.
        model: trained in place, on ``device``.
        store: of the clips.
        preprocessing: of the teacher.
        device: that computes.
    """

    def __init__(
        self,
        settings: AdaptSettings,
        model: InternVideo2,
        store: Store,
        preprocessing: Preprocessing,
        device: torch.device,
    ) -> None:
        self._settings, self._store, self._preprocessing, self._device = settings, store, preprocessing, device
        self._whole = settings.trainable_blocks == "all"
        if settings.trainable_blocks != "all":
            model.freeze_trunk(min(settings.trainable_blocks, model.config.depth))
        self._model = model.to(device)

    def run(self, train: Labelled, val: Labelled, *, scratch: Path, saved: SavedState) -> Training:
        """Trains, and leaves the model with the weights of its best epoch, or a later one as good.

        Args:
            train: what is trained on.
            val: what chooses the epoch, with its first ``validation_views``.
            scratch: folder for the trunk's tokens.
            saved: the state of an interrupted run.

        Returns:
            The training that is over. A model that has a head of its own has an epoch 0, before any step.
        """
        settings, val = self._settings, val.first_views(self._settings.validation_views)
        training = self._training(len(train.rows), saved)
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="tokens-", dir=scratch) as folder:
            seen, judged = (
                self._inputs(labelled, Path(folder) / split) for split, labelled in (("train", train), ("val", val))
            )
            training.run(
                settings.epochs,
                lambda: self._epoch(training, train, seen),
                lambda _: self._validate(val, judged),
                before=partial(self._scale_head, train, seen) if keeps_head(self._model) else None,
            )
        return training

    def _training(self, num_videos: int, saved: SavedState) -> Training:
        settings, steps = self._settings, -(-num_videos // self._settings.batch_size)
        groups = parameter_groups(
            self._model,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
            depth_of=depths_by_name(self._model),
        )
        factor = partial(
            cosine_with_warmup, total=settings.epochs * steps, warmup=round(settings.warmup_epochs * steps)
        )
        return Training(
            "adapt",
            self._model,
            [LambdaLR(torch.optim.AdamW(groups), factor)],
            order=np.random.Generator(np.random.Philox(settings.seed)),
            tolerance=settings.val_tolerance,
            saved=saved,
        )

    def _inputs(self, labelled: Labelled, path: Path) -> Inputs:
        """What the trainable part takes; the frozen trunk runs here, once."""
        rows = labelled.rows.ravel()
        if self._whole:
            return lambda positions: self._pixels(rows[positions])
        return trunk_inputs(self._model, self._pixels, rows, path)

    def _pixels(self, rows: NDArray[np.int64]) -> Tensor:
        clips = torch.from_numpy(self._store.read(self._settings.view_set, rows)).to(self._device)
        return normalise(clips, self._preprocessing.mean, self._preprocessing.std)

    def _score(self, inputs: Tensor) -> Tensor:
        share = self._settings.token_share if self._model.training else 1.0
        forward = self._model if self._whole else self._model.forward_from
        return forward(inputs, token_share=share).logits[:, 0]

    @torch.no_grad()
    def _scores(self, positions: NDArray[np.int64], inputs: Inputs) -> NDArray[np.float64]:
        """Of some clips, without training."""
        self._model.eval()
        scores = [self._score(inputs(batch)).cpu() for batch in batches(positions, TRUNK_BATCH_CLIPS)]
        return torch.cat(scores).double().numpy()

    @torch.no_grad()
    def _scale_head(self, train: Labelled, inputs: Inputs) -> Row:
        """Brings the head's output to the scale of the scores by least squares; the mean squared error of that.

        Raises:
            FineTuningError: the head's output does not rise with the scores.
        """
        num_videos, num_views = train.rows.shape
        predicted = self._scores(np.arange(num_videos) * num_views, inputs)
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
        return {"train_loss": float(np.mean((design @ np.array([slope, offset]) - train.mos) ** 2))}

    def _epoch(self, training: Training, train: Labelled, inputs: Inputs) -> Row:
        """Every video once, each with one of its views."""
        num_videos, num_views = train.rows.shape
        videos = training.order.permutation(num_videos)
        positions = videos * num_views + training.order.integers(num_views, size=num_videos)
        self._model.train()
        total = 0.0
        for batch in batches(positions, self._settings.batch_size):
            mos = torch.from_numpy(train.mos[batch // num_views]).to(self._device)
            total += training.step(functional.mse_loss(self._score(inputs(batch)), mos)) * len(batch)
        return {"train_loss": total / num_videos}

    def _validate(self, val: Labelled, inputs: Inputs) -> Row:
        """Loss and SRCC of the mean over each video's views."""
        scores = self._scores(np.arange(val.rows.size), inputs).reshape(val.rows.shape)
        predicted = scores.mean(axis=1)
        return {
            "val_loss": float(np.mean((predicted - val.mos) ** 2)),
            "val_srcc": srcc(predicted, val.mos.astype(np.float64)),
        }
