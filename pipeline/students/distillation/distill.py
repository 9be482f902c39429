"""Training a student from the cache: clips, cached targets and labels in, a calibrated student out.

It decodes no video and knows no teacher. Every epoch shows each training video once, through one of its views; the view
and the order come from a generator of their own, so that nothing else moves them. Videos without a usable score still
teach through the losses that need none; where only the labelled ones can teach, they come as often as it takes to fill
an epoch, so that losses are compared over equally many steps.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from cache.store.scratch import scratch_folder
from pipeline.core.files import file_digest
from pipeline.core.registry import file_of_plug_in
from pipeline.models.device import reproducible, resolve_device
from pipeline.models.optimisation import depths_by_name, parameter_groups
from pipeline.models.saved_state import SavedState, identity
from pipeline.models.staging import staged
from pipeline.models.training import Training, cosine_with_warmup
from pipeline.students.data.batch import COLUMNS, Batch
from pipeline.students.data.rows import AlignedData, DataPaths
from pipeline.students.distillation.batches import epoch_rows, prefetched, training_videos
from pipeline.students.distillation.finishing import finish
from pipeline.students.distillation.projection import ProjectedStudent, possible_losses, with_projectors
from pipeline.students.distillation.settings import DistillSettings
from pipeline.students.distillation.step_times import StepTimes
from pipeline.students.losses.shared.weighting import WeightedLosses, weighted_losses
from pipeline.students.shared.model import StudentModel, create_student
from pipeline.students.shared.prediction import mean_srcc

ROOMS = (
    "cache/store",
    "pipeline/core",
    "pipeline/models",
    "pipeline/students/data",
    "pipeline/students/shared",
    "pipeline/students/losses",
    "pipeline/students/distillation",
    "stages/distill.py",
)
"""The code that a training depends on, beside the student's own file."""


@dataclass(frozen=True)
class TrainingResult:
    """A trained and calibrated student.

    Attributes:
        student: with the weights of its best epoch, on the CPU, in evaluation mode.
        curves: one row per epoch.
        metrics: scalars for ``results/distill/metrics.json``.
        step_times: of the steps of this process; a resumed run has only those since.
        is_main_process: whether this process is the one that writes.
        forget: deletes the saved state; for when the student is written.
    """

    student: StudentModel
    curves: list[dict[str, float]]
    metrics: dict[str, Any]
    step_times: StepTimes
    is_main_process: bool
    forget: Callable[[], None]


def distill(
    settings: DistillSettings, paths: DataPaths, *, device: str = "auto", scratch: Path | None = None
) -> TrainingResult:
    """Trains the selected student and calibrates it.

    Args:
        settings: the section ``distill``.
        paths: clips, targets and tables.
        device: as ``runtime.device``.
        scratch: folder for the state of a run that is interrupted; None takes the project's own.

    Raises:
        PipelineError: the settings, the student and the data do not fit together.
        CacheError: a store is missing or damaged.
    """
    data = AlignedData(paths, settings.view_set)
    initial = None if settings.initial is None else Path(settings.initial)
    digests = data.digests() | ({} if initial is None else {"initial": file_digest(initial / "model.safetensors")})
    with reproducible(seed=settings.seed, threads=settings.threads):
        student = create_student(
            settings.student,
            settings.options.get(settings.student, {}),
            target_dim=data.cached.width,
            clip_shape=data.clip_shape,
            grid=data.grid,
            initial=initial,
        )
        accelerator = _accelerator(resolve_device(device), settings.precision)
        steps = _Steps(settings, data, student, accelerator)
        named = settings.model_dump() | {"num_processes": accelerator.num_processes}
        rooms = (*ROOMS, file_of_plug_in("students", settings.student))
        saved = SavedState(
            scratch or scratch_folder() / "distill", identity("distill", rooms, named, digests, accelerator.device)
        )
        training = steps.training(saved)
        training.run(settings.epochs, lambda: steps.epoch(training), steps.validate, patience=settings.patience)
        metrics = finish(student, data, settings, training, steps.losses, steps.train_videos, digests)
    accelerator.wait_for_everyone()
    return TrainingResult(student, training.history, metrics, steps.times, accelerator.is_main_process, training.forget)


def _accelerator(device: torch.device, precision: str) -> Accelerator:
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


class _LossOfBatch(nn.Module):
    """Student and losses as one module: several processes then see which parameters the loss really reaches."""

    def __init__(self, model: ProjectedStudent, losses: WeightedLosses) -> None:
        super().__init__()
        self.model, self._losses = model, losses

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of the losses, computed in float32, and each term by name."""
        prediction = self.model(batch.clips, batch.dataset)
        with torch.autocast(batch.clips.device.type, enabled=False):
            return self._losses(prediction, batch)


class _Steps:
    """The steps of a training: batches in, losses out.

    Attributes:
        losses: that this student can have.
        train_videos: that some loss can learn from.
        times: of the steps so far.
    """

    def __init__(
        self, settings: DistillSettings, data: AlignedData, student: StudentModel, accelerator: Accelerator
    ) -> None:
        self._settings, self._data, self._accelerator = settings, data, accelerator
        self.losses = weighted_losses(possible_losses(student, settings.losses))
        self.train_videos = training_videos(data, self.losses, views=settings.views)
        self._val_videos = data.split("val")
        targets = {name: data.cached.shape(name) for name in self.losses.needs if name not in COLUMNS}
        self._model = with_projectors(student, self.losses.needs, targets, len(data.datasets))
        self._loss_of: nn.Module = accelerator.prepare(_LossOfBatch(self._model, self.losses))
        self._order = np.random.Generator(np.random.PCG64(settings.seed))
        self._clips_per_epoch = len(data.split("train"))
        steps_per_epoch = -(-self._clips_per_epoch // settings.batch_size)
        self._factor = partial(
            cosine_with_warmup,
            total=settings.epochs * steps_per_epoch,
            warmup=round(settings.warmup_epochs * steps_per_epoch),
        )
        self.times = StepTimes()

    def training(self, saved: SavedState) -> Training:
        """A training of the student and its projectors that has not begun."""
        groups = parameter_groups(
            self._model,
            learning_rate=self._settings.learning_rate,
            weight_decay=self._settings.weight_decay,
            layer_decay=self._settings.layer_decay,
            depth_of=depths_by_name(self._model),
        )
        return Training(
            "distill",
            self._model,
            [LambdaLR(torch.optim.AdamW(groups, fused=True), self._factor)],
            average=self._settings.weight_average,
            order=self._order,
            saved=saved,
        )

    def epoch(self, training: Training) -> dict[str, float]:
        """As many clips as there are training videos; see `epoch_rows`."""
        rows = epoch_rows(self.train_videos, self._clips_per_epoch, self._order)
        size, accelerator = self._settings.batch_size, self._accelerator
        batches = prefetched(
            self._data,
            np.split(rows, np.arange(size, len(rows), size)),
            self.losses.needs,
            process=(accelerator.process_index, accelerator.num_processes),
        )
        sums: dict[str, float] = {}
        num_clips = 0.0
        self._loss_of.train()
        start = time.perf_counter()
        for batch in staged(batches, accelerator.device):
            loaded = time.perf_counter()
            with accelerator.autocast():
                loss, terms = self._loss_of(batch)
            values = {"train_loss": training.step(loss), **{f"{name}_loss": value for name, value in terms.items()}}
            num_clips += len(batch.clips)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch.clips)
            done = time.perf_counter()
            self.times.add(loaded - start, done - loaded)
            start = done
        shown = self._over_processes([*sums.values(), num_clips])
        return {"learning_rate": self._settings.learning_rate * self._factor(training.num_steps - 1)} | {
            name: value / shown[-1] for name, value in zip(sums, shown[:-1], strict=True)
        }

    def _over_processes(self, values: list[float]) -> list[float]:
        """Sums over all processes; exactly the values where there is one."""
        if self._accelerator.num_processes == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self._accelerator.device)
        return list(self._accelerator.reduce(total, reduction="sum").tolist())

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Loss over the first views of the validation videos, and SRCC of the means over them."""
        model.eval()
        rows = np.concatenate([entry.rows[: self._settings.validation_views] for entry in self._val_videos])
        size, losses = self._settings.batch_size, 0.0
        scores = np.full(len(self._data.clips), np.nan)
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            batch = self._data.batch(chosen, self.losses.needs).to(self._accelerator.device)
            prediction = model(batch.clips, batch.dataset)
            losses += float(self.losses(prediction, batch)[0]) * len(chosen)
            scores[chosen] = prediction.score.double().cpu().numpy()
        return {"val_loss": losses / len(rows), "val_srcc": mean_srcc(self._val_videos, scores)}
