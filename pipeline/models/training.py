"""The one training loop, of students and teachers: steps, schedule, averaged weights, best epoch, resuming.

The caller makes batches and losses; `Training` holds all that changes from step to step. `run` is the loop over epochs;
pre-training, which has none, calls `step` and saves on its own.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from pipeline.core.errors import PipelineError
from pipeline.core.progress import track
from pipeline.models.saved_state import SavedState

MAX_GRADIENT_NORM = 1.0
Row = dict[str, float]


class TrainingError(PipelineError):
    """There is nothing to train on, nothing to choose an epoch by, or training went wrong."""


class Training:
    """A training in progress.

    Args:
        stage: its name, for messages.
        model: what trains; what is frozen of it is left out of the saved state.
        schedules: of the optimisers over the model's parameters.
        average: decay of the moving average of the weights, which then is what validation sees; 0 for none.
        order: generator of the caller's batches, whose state is saved; for `run`.
        tolerance: see `best_epoch`.
        saved: where the state is saved after each epoch; None saves nothing.

    Attributes:
        history: one row per epoch: ``epoch``, and what the caller measured.
        num_steps: taken so far.
    """

    def __init__(
        self,
        stage: str,
        model: nn.Module,
        schedules: Sequence[LambdaLR],
        *,
        average: float = 0.0,
        order: np.random.Generator | None = None,
        tolerance: float = 0.0,
        saved: SavedState | None = None,
    ) -> None:
        self.stage, self.model, self.history, self.num_steps = stage, model, list[Row](), 0
        self.order = np.random.default_rng() if order is None else order
        self._schedules, self._tolerance, self._saved = schedules, tolerance, saved
        self._optimisers = [schedule.optimizer for schedule in schedules]
        self._average = averaged(model, average) if average else None
        self._best: dict[str, Tensor] = {}

    @property
    def evaluated(self) -> nn.Module:
        """The model with the weights that count: the averaged ones where there are such."""
        return self.model if self._average is None else self._average.module

    @property
    def epochs(self) -> int:
        """Epochs that are done; a row of epoch 0, before any step, is none."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    @property
    def best(self) -> Row:
        """The row of the epoch that counts."""
        return self.history[best_epoch(self.history, self._tolerance) - 1]

    def step(self, loss: Tensor) -> float:
        """Takes one step of the optimisers.

        Args:
            loss: a scalar.

        Returns:
            The value of the loss.

        Raises:
            TrainingError: it is not finite.
        """
        for optimiser in self._optimisers:
            optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        for optimiser, schedule in zip(self._optimisers, self._schedules, strict=True):
            optimiser.step()
            schedule.step()
        if self._average is not None:
            self._average.update_parameters(self.model)
        self.num_steps += 1
        if not math.isfinite(value := float(loss.detach())):
            raise TrainingError(f"the loss became {value}; lower {self.stage}.learning_rate")
        return value

    def state_dict(self) -> dict[str, Any]:
        """Weights, averaged weights, optimisers and steps: what `load_state_dict` takes."""
        return {
            "model": _trained(self.model),
            "average": None if self._average is None else _trained(self.evaluated),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "num_steps": self.num_steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state; the schedules are this training's own."""
        self.model.load_state_dict(state["model"], strict=False)
        self.num_steps = state["num_steps"]
        if self._average is not None:
            self._average.module.load_state_dict(state["average"], strict=False)
            self._average.n_averaged.fill_(self.num_steps + 1)
        for optimiser, schedule, values in zip(self._optimisers, self._schedules, state["optimisers"], strict=True):
            optimiser.load_state_dict(values)
            schedule.last_epoch = self.num_steps
            for group, highest, factor in zip(
                optimiser.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
            ):
                group["lr"] = highest * factor(self.num_steps)

    def run(
        self,
        epochs: int,
        train: Callable[[], Row],
        validate: Callable[[nn.Module], Row],
        *,
        before: Callable[[], Row] | None = None,
        patience: int | None = None,
    ) -> None:
        """Trains, from the saved state on where there is one, and leaves the model with the weights of its best epoch.

        Args:
            epochs: in all.
            train: takes the steps of one epoch.
            validate: measures a model: ``val_loss`` and ``val_srcc``.
            before: makes a row of epoch 0, so that the weights before any step can be the best, too; None for none.
            patience: epochs without a better one before training stops; None trains to the end.
        """
        self._resume()
        with track(f"{self.stage}: train", epochs) as advance:
            advance(self.epochs)
            if before is not None and not self.history:
                advance(0, self._record({"epoch": 0, **before(), **validate(self.evaluated)}))
            while self.epochs < epochs and not self._out_of_patience(patience):
                advance(note=self._record({"epoch": self.epochs + 1, **train(), **validate(self.evaluated)}))
                self._save()
        self.model.load_state_dict(self._best, strict=False)

    def forget(self) -> None:
        """Deletes the saved state; for when the result is written."""
        if self._saved is not None and not _rank():
            self._saved.remove()

    def _record(self, row: Row) -> str:
        """Adds a row to the history, takes the weights if it is the best so far, and describes it."""
        self.history.append(row)
        if self.best is row:
            self._best = {name: value.cpu().clone() for name, value in _trained(self.evaluated).items()}
        return f"loss {row['train_loss']:.4f}, val SRCC {row['val_srcc']:.4f} (best: epoch {self.best['epoch']})"

    def _out_of_patience(self, patience: int | None) -> bool:
        return patience is not None and bool(self.history) and self.epochs - self.best["epoch"] >= patience

    def _save(self) -> None:
        generators = _of_all_processes(torch.get_rng_state())
        if self._saved is None or _rank():
            return
        self._saved.save(
            self.state_dict()
            | {
                "best": self._best,
                "history": self.history,
                "order": json.dumps(self.order.bit_generator.state, default=np.ndarray.tolist),
                "torch_generators": generators,
                "cuda_generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            }
        )

    def _resume(self) -> None:
        state = self._saved.load() if self._saved is not None else None
        if state is None:
            if self._saved is not None and (reason := self._saved.why_anew()):
                print(f"{self.stage}: the training begins anew: {reason}", file=sys.stderr)
            return
        self.load_state_dict(state)
        self._best, self.history = state["best"], state["history"]
        self.order.bit_generator.state = json.loads(state["order"])
        torch.set_rng_state(state["torch_generators"][_rank()])
        if state["cuda_generators"]:
            torch.cuda.set_rng_state_all(state["cuda_generators"])
        print(f"{self.stage}: going on after epoch {self.epochs} of an interrupted run", file=sys.stderr)


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of a model that follows the moving average of its weights.

    The decay rises from 0.1 towards the one asked for, so that the first steps do not hold it back; torch's own
    ``get_ema_multi_avg_fn`` has a constant one.
    """

    def follow(means: Sequence[Tensor], values: Sequence[Tensor], num_updates: Tensor | int) -> None:
        present = min(decay, int(num_updates) / (9.0 + int(num_updates)))
        for mean, value in zip(means, values, strict=True):
            mean.lerp_(value, 1.0 - present)

    average = AveragedModel(model, multi_avg_fn=follow)
    average.n_averaged += 1  # the initial weights count; torch would begin with those after the first step
    return average


def best_epoch(history: Sequence[Mapping[str, float]], tolerance: float = 0.0) -> int:
    """The epoch (from 1) with the highest ``val_srcc``, or the lowest ``val_loss`` where no SRCC is defined.

    Args:
        history: one mapping per epoch, at least one.
        tolerance: of the epochs whose ``val_srcc`` is within this of the highest, the last is taken; with 0 the first
            of equals.
    """
    keys = [row["val_srcc"] if math.isfinite(row["val_srcc"]) else -math.inf for row in history]
    if max(keys) == -math.inf:
        keys = [-row["val_loss"] for row in history]
    elif tolerance:
        return max(epoch for epoch, key in enumerate(keys, start=1) if key >= max(keys) - tolerance)
    return keys.index(max(keys)) + 1


def cosine_with_warmup(step: int, *, total: int, warmup: int) -> float:
    """What the learning rate of one step is multiplied by: a linear rise to 1, then half a cosine down to 0.

    Args:
        step: from 0.
        total: steps of the whole training.
        warmup: steps of the rise.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(total - warmup, 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """The model's state without its frozen parameters."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: value.detach() for name, value in model.state_dict().items() if name not in frozen}


def _rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def _of_all_processes(state: Tensor) -> list[Tensor]:
    """The same of every process, ordered by rank."""
    if not distributed.is_initialized():
        return [state]
    states: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(states, state)
    return states
