"""Training a student from the cache: one readable loop over clips, cached targets and labels.

It decodes no video and knows no teacher. Every epoch shows each training video once, through one of its views; the view
and the order come from a generator of their own, so that nothing else moves them. Videos without a usable score still
teach through the losses that need none; where only the labelled ones can teach, they come as often as it takes to fill
an epoch, so that losses are compared over equally many steps. The epoch that does best on validation is kept.
"""

import copy
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, gather_object
from torch import Tensor, nn

from cache.store.scratch import scratch_folder
from pipeline.core.agreement import Interval
from pipeline.core.progress import track
from pipeline.models.device import reproducible, resolve_device
from pipeline.models.optimisation import (
    WeightAverage,
    best_epoch,
    cosine_with_warmup,
    depths_by_name,
    parameter_groups,
    set_learning_rate,
)
from pipeline.models.staging import staged
from pipeline.students.data.batch import Batch
from pipeline.students.data.rows import AlignedData, DataPaths
from pipeline.students.distillation.batches import TrainingError, epoch_rows, prefetched, training_videos
from pipeline.students.distillation.projection import ProjectedStudent, possible_losses, with_projectors
from pipeline.students.distillation.saved_state import SavedState, initial_digest, run_digest
from pipeline.students.distillation.settings import DistillSettings
from pipeline.students.distillation.step_times import StepTimes
from pipeline.students.losses.shared.weighting import WeightedLosses, weighted_losses
from pipeline.students.shared.model import StudentModel, create_student
from pipeline.students.shared.prediction import (
    describe_domain,
    describe_videos,
    fit_calibrations,
    mean_srcc,
    srcc_with_interval,
)

MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class TrainingResult:
    """A trained and calibrated student.

    Attributes:
        student: with the weights of its best epoch, on the CPU, in evaluation mode.
        curves: one row per epoch.
        metrics: scalars for ``results/distill/metrics.json``.
        step_times: of the steps of this process; a resumed run has only those since.
        is_main_process: whether this process is the one that writes.
    """

    student: StudentModel
    curves: list[dict[str, float]]
    metrics: dict[str, Any]
    step_times: StepTimes
    is_main_process: bool


def distil(
    settings: DistillSettings, paths: DataPaths, *, device: str = "auto", scratch: Path | None = None
) -> TrainingResult:
    """Trains the selected student and calibrates it.

    Args:
        settings: the section ``distill``.
        paths: clips, targets and tables.
        device: as ``runtime.device``.
        scratch: where the run stores what it needs to go on after a kill; ``.teachonce/distill`` when not given.

    Raises:
        PipelineError: the settings, the student and the data do not fit together.
        CacheError: a store is missing or damaged.
    """
    data = AlignedData(paths, settings.view_set)
    with reproducible(seed=settings.seed, threads=settings.threads):
        student = create_student(
            settings.student,
            settings.options.get(settings.student, {}),
            target_dim=data.target_dim,
            clip_shape=data.clip_shape,
            grid=data.grid,
            initial=None if settings.initial is None else Path(settings.initial),
        )
        losses = weighted_losses(possible_losses(student, settings.losses))
        run = _Run(settings, data, losses, student, resolve_device(device), scratch or scratch_folder() / "distill")
        run.train()
        run.finish()
    return TrainingResult(student, run.curves, run.metrics(), run.step_times, run.accelerator.is_main_process)


class _Step(nn.Module):
    """Student and losses as one module: several processes then see which parameters the loss really reaches."""

    def __init__(self, model: ProjectedStudent, losses: WeightedLosses) -> None:
        super().__init__()
        self.model, self._losses = model, losses

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of the losses, computed in float32, and each term by name."""
        prediction = self.model(batch.clips, batch.dataset)
        with torch.autocast(batch.clips.device.type, enabled=False):
            return self._losses(prediction, batch)


class _Run:
    """One training run."""

    def __init__(
        self,
        settings: DistillSettings,
        data: AlignedData,
        losses: WeightedLosses,
        student: StudentModel,
        device: torch.device,
        scratch: Path,
    ) -> None:
        self.settings, self.data, self.losses, self.student = settings, data, losses, student
        self.train_videos, self.val_videos = training_videos(data, losses, views=settings.views), data.split("val")
        targets = {name: data.target_shape(name) for name in losses.needs if name not in ("mos", "group")}
        if device.type == "cuda":
            torch.cuda.set_device(device)
        self.accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="bf16" if settings.precision == "bfloat16" else "no",
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        model = with_projectors(student, losses.needs, targets, len(data.datasets))
        groups = parameter_groups(
            model,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
            depth_of=depths_by_name(model),
        )
        optimiser = torch.optim.AdamW(groups, fused=True)
        self.model, self.optimiser = self.accelerator.prepare(_Step(model, losses), optimiser)
        self._bare = model
        self._average = WeightAverage(self._bare, settings.weight_average) if settings.weight_average else None
        self._averaged = copy.deepcopy(self._bare) if self._average else None
        self._generator = np.random.Generator(np.random.PCG64(settings.seed))
        self.curves: list[dict[str, float]] = []
        self.step_times = StepTimes()
        self._best: dict[str, Tensor] = {}
        self._agreement: Interval | None = None
        self._clips_per_epoch = len(data.split("train"))
        self._steps_per_epoch = -(-self._clips_per_epoch // settings.batch_size)
        self._digests = data.digests() | initial_digest(settings.initial)
        named = settings.model_dump() | {"num_processes": self.accelerator.num_processes}
        digest = run_digest(named, self._digests, settings.student, list(losses.terms))
        self._saved = SavedState(scratch, digest)

    def train(self) -> None:
        """Trains to the last epoch, or until validation has not improved for ``patience`` epochs."""
        self._resume()
        with track("distill", self.settings.epochs) as advance:
            advance(len(self.curves))
            while len(self.curves) < self.settings.epochs and not self._out_of_patience():
                row = {"epoch": float(len(self.curves) + 1), **self._train_epoch(), **self._validate()}
                self.curves.append(row)
                if self.best_epoch == len(self.curves):
                    weights = (self._averaged or self._bare).student.state_dict()
                    self._best = {name: value.detach().cpu().clone() for name, value in weights.items()}
                self._save()
                advance(
                    note=f"loss {row['train_loss']:.4f}, val SRCC {row['val_srcc']:.4f} (best: epoch {self.best_epoch})"
                )

    def finish(self) -> None:
        """Takes the best epoch's weights, calibrates on validation, and notes what the student was made from."""
        self.student.load_state_dict(self._best)
        config = self.student.config
        labelled = self.data.split("val", labelled=True)
        views, _ = describe_videos(self.student, self.data, labelled, description="distill: calibrate")
        config.calibrations = {name: fit.as_dict() for name, fit in fit_calibrations(labelled, views).items()}
        if labelled:
            means = np.array([scores.mean() for scores in views])
            self._agreement = srcc_with_interval(labelled, means, seed=self.settings.seed)
        config.scales = {entry.video.dataset: vars(entry.scale) for entry in self.data.videos}
        config.domain = describe_domain(self.student, self.data, self.train_videos, self.val_videos).as_dict()
        config.num_views = self.data.clips.views_per_video
        config.view = dict(self.data.clips.fingerprint[self.settings.view_set])
        config.provenance = {
            "digests": self._digests,
            "teacher": dict(self.data.targets.fingerprint[min(self.data.targets.arrays)]),
            "distill": self.settings.model_dump(mode="json"),
            "losses": {name: weight for name, (weight, _) in self.losses.terms.items()},
            "metrics": {name: value if np.isfinite(value) else None for name, value in self.metrics().items()},
        }
        self.student.cpu().eval()
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self._saved.remove()

    @property
    def best_epoch(self) -> int:
        """See `optimisation.best_epoch`."""
        return best_epoch(self.curves)

    def metrics(self) -> dict[str, Any]:
        """Scalars of the run; the same whenever it is run again."""
        best = self.curves[self.best_epoch - 1]
        return {
            "best_epoch": self.best_epoch,
            "epochs": len(self.curves),
            "val_srcc": best["val_srcc"],
            "val_loss": best["val_loss"],
            **{f"val_all_views_srcc{end}": value for end, value in self._ends().items()},
            "parameters": self.student.num_parameters(),
            "flops": self.student.flops(),
            "train_videos": len(self.train_videos),
            "labelled_train_videos": len(self.data.split("train", labelled=True)),
            "val_videos": len(self.val_videos),
            "failed_videos": len(self.data.failed),
        }

    def _ends(self) -> dict[str, float]:
        """SRCC on validation over all views with its interval; nothing where no validation video has a score."""
        found = self._agreement
        return {} if found is None else {"": found.value, "_low": found.low, "_high": found.high}

    def _train_epoch(self) -> dict[str, float]:
        """As many clips as there are training videos; see `epoch_rows`."""
        rows = epoch_rows(self.train_videos, self._clips_per_epoch, self._generator)
        first_step = len(self.curves) * self._steps_per_epoch
        sums: dict[str, float] = {}
        num_clips = 0.0
        self.model.train()
        start = time.perf_counter()
        batches = prefetched(
            self.data,
            np.split(rows, np.arange(self.settings.batch_size, len(rows), self.settings.batch_size)),
            self.losses.needs,
            process=(self.accelerator.process_index, self.accelerator.num_processes),
        )
        for step, batch in enumerate(staged(batches, self.accelerator.device)):
            loaded = time.perf_counter()
            factor = cosine_with_warmup(
                first_step + step,
                total=self.settings.epochs * self._steps_per_epoch,
                warmup=round(self.settings.warmup_epochs * self._steps_per_epoch),
            )
            set_learning_rate(self.optimiser, factor)
            with self.accelerator.autocast():
                total, terms = self.model(batch)
            self.optimiser.zero_grad()
            self.accelerator.backward(total)
            self.accelerator.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
            self.optimiser.step()
            if self._average:
                self._average.update(self._bare)
            num_clips += len(batch.clips)
            for name, value in {
                "train_loss": float(total.detach()),
                **{f"{name}_loss": v for name, v in terms.items()},
            }.items():
                sums[name] = sums.get(name, 0.0) + value * len(batch.clips)
            if not np.isfinite(sums["train_loss"]):
                raise TrainingError(f"the loss became {float(total.detach())}; lower distill.learning_rate")
            done = time.perf_counter()
            self.step_times.add(loaded - start, done - loaded)
            start = done
        shown = self._over_processes([*sums.values(), num_clips])
        return {"learning_rate": self.settings.learning_rate * factor} | {
            name: value / shown[-1] for name, value in zip(sums, shown[:-1], strict=True)
        }

    def _over_processes(self, values: list[float]) -> list[float]:
        """Sums over all processes; exactly the values where there is one."""
        if self.accelerator.num_processes == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        return list(self.accelerator.reduce(total, reduction="sum").tolist())

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Loss over the first views of the validation videos, and SRCC of the means over them."""
        model = self._bare
        if self._average and self._averaged:
            self._averaged.load_state_dict(self._average.weights)
            model = self._averaged
        model.eval()
        rows = np.concatenate([entry.rows[: self.settings.validation_views] for entry in self.val_videos])
        size, losses = self.settings.batch_size, 0.0
        scores = np.full(len(self.data.clips), np.nan)
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            batch = self.data.batch(chosen, self.losses.needs).to(self.accelerator.device)
            prediction = model(batch.clips, batch.dataset)
            losses += float(self.losses(prediction, batch)[0]) * len(chosen)
            scores[chosen] = prediction.score.double().cpu().numpy()
        return {"val_loss": losses / len(rows), "val_srcc": mean_srcc(self.val_videos, scores)}

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return patience is not None and bool(self.curves) and len(self.curves) - self.best_epoch >= patience

    def _save(self) -> None:
        generators = gather_object([torch.get_rng_state()])
        if not self.accelerator.is_main_process:
            return
        self._saved.save(
            {
                "model": self._bare.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self._average.state_dict() if self._average else None,
                "best": self._best,
                "curves": self.curves,
                "generator": json.dumps(self._generator.bit_generator.state),
                "torch_generators": generators,
                "cuda_generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            }
        )

    def _resume(self) -> None:
        state = self._saved.load()
        if state is None:
            return
        self._bare.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self._average:
            self._average.load_state_dict(state["average"])
        self._best, self.curves = {name: value.cpu() for name, value in state["best"].items()}, state["curves"]
        self._generator.bit_generator.state = json.loads(state["generator"])
        torch.set_rng_state(state["torch_generators"][self.accelerator.process_index].cpu())
        if state["cuda_generators"]:
            torch.cuda.set_rng_state_all([generator.cpu() for generator in state["cuda_generators"]])
        print(f"distill: going on after epoch {len(self.curves)} of an interrupted run", file=sys.stderr)
