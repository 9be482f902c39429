"""A pre-training run: seeded, resumable, one checkpoint file; its loop is that of ``pipeline/models/training.py``."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.lr_scheduler import LambdaLR

from pipeline.core.errors import PipelineError
from pipeline.core.files import refusals_unwrapped, replacing
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config
from pipeline.models.internvideo2.blocks import LayerScale, Mlp
from pipeline.models.pixels import normalise
from pipeline.models.saved_state import differences, identity
from pipeline.models.stem import init_dct
from pipeline.models.training import Training
from pipeline.synthesis.seeding import generator
from pipeline.teachers.adaptation.initial import teacher_config
from pipeline.teachers.pretraining.examples import TOKENS, Group
from pipeline.teachers.pretraining.objectives import Pretrainer, cells_of, losses, perceived, total
from pipeline.teachers.pretraining.replay import Replay

CHECKPOINT_VERSION = 7
ROOMS = (
    "pipeline/core",
    "pipeline/models",
    "pipeline/synthesis",
    "pipeline/teachers/pretraining",
    "pipeline/teachers/internvideo2_tiny.py",
)
"""The code that a run depends on."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides the course of a run.

    Attributes:
        steps: optimiser steps in all.
        groups: contents per step.
        encodes: encodes of each content per step.
        tokens: share of a clip's tokens that a step uses.
        learning_rate: at its highest, after the warm-up; from there it falls to 0 in a straight line.
        warmup: steps.
        weight_decay: of matrices.
        average: decay of the moving average of the weights.
        seed: of initial values and batches.
        heads_first: steps in which the network itself stays as it is and the heads that are new to it learn; for a run
            that begins with trained weights.
        compiled: fuse the model with ``torch.compile``: half the time per step, a minute to start.
    """

    steps: int
    groups: int = 7
    encodes: int = 3
    tokens: float = 0.225
    learning_rate: float = 8e-4
    warmup: int = 200
    weight_decay: float = 0.05
    average: float = 0.99
    seed: int = 1
    heads_first: int = 0
    compiled: bool = True


def config() -> InternVideo2Config:
    """The embedded teacher's configuration, with a head of one output: the predicted MS-SSIM target."""
    values = teacher_config("internvideo2_tiny").to_dict()
    values["num_classes"] = 1
    return InternVideo2Config(**{key: values[key] for key in values if key in InternVideo2Config.__annotations__})


@torch.no_grad()
def start_fan_in(model: InternVideo2) -> None:
    """Initial values for a short training, in place: every block does something non-linear from the first step.

    The official ones (deviation 0.02, LayerScale near 0) suit long trainings of wide models; at a width of 192 they
    make a network that is linear in its input at first, to which the energy of a frequency band is invisible.
    """
    for block in model.blocks.modules():
        if isinstance(block, nn.Linear):
            nn.init.trunc_normal_(block.weight, std=block.in_features**-0.5)
        elif isinstance(block, Mlp):
            nn.init.normal_(block.fc1.bias, std=0.5)
        elif isinstance(block, LayerScale):
            block.gamma.fill_(0.5)
    for linear in model.clip_projector.modules():
        if isinstance(linear, nn.Linear):
            nn.init.trunc_normal_(linear.weight, std=linear.in_features**-0.5)


class Run:
    """A pre-training run: model, optimiser, average and step, in one place that can be saved and continued.

    Args:
        plan: the course of the run.
    """

    def __init__(self, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.seconds = 0.0
        model = InternVideo2(config())
        init_dct(model.patch_embed.proj)
        start_fan_in(model)
        self.pretrainer = Pretrainer(model)
        self.training = self._training()
        self._forward: Callable[..., Any] = torch.compile(self.pretrainer) if plan.compiled else self.pretrainer

    def begin_with(self, folder: Path) -> None:
        """Takes over the weights of an exported teacher; the heads that are not exported keep their initial values.

        Args:
            folder: with ``model.safetensors``.

        Raises:
            PipelineError: there are none, or they are of another architecture.
        """
        path = folder / "model.safetensors"
        if not path.exists():
            raise PipelineError(f"{path} does not exist; name the folder of an exported teacher")
        values = {name: value.float() for name, value in load_file(path).items()}
        mine = self.pretrainer.model.state_dict()
        if {name: value.shape for name, value in values.items()} != {name: value.shape for name, value in mine.items()}:
            raise PipelineError(f"{path} is of another architecture than this teacher; train from nothing instead")
        self.pretrainer.model.load_state_dict(values)
        self.training = self._training()

    def _training(self) -> Training:
        schedules = [
            LambdaLR(
                optimiser,
                [
                    partial(rate_factor, plan=self.plan, of_heads=group.get("heads", False))
                    for group in optimiser.param_groups
                ],
            )
            for optimiser in optimisers_of(self.pretrainer, self.plan)
        ]
        return Training("pretrain", self.pretrainer, schedules, average=self.plan.average)

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.training.num_steps

    def update(self, batch: Group) -> dict[str, float]:
        """One optimiser step.

        Args:
            batch: arrays with the leading axes group and encode, as ``Replay.sample`` gives.

        Returns:
            The terms of the loss.
        """
        start = time.monotonic()
        clips, dense, targets, codecs = to_tensors(batch)
        order = generator("tokens", self.plan.seed, self.step).permutation(math.prod(TOKENS))
        seen = torch.from_numpy(np.sort(order[: round(self.plan.tokens * len(order))]))
        pixels = perceived(clips, seen)
        self.pretrainer.train()
        with quick_arithmetic():
            found = self._forward(normalise(clips), seen)
            terms = losses(found, dense[:, cells_of(seen)], targets, codecs, pixels, len(batch.clips))
        self.training.step(total(terms))
        self.seconds += time.monotonic() - start
        return {name: float(term.detach()) for name, term in terms.items()}

    def draw(self, replay: Replay) -> Group:
        """The batch of the current step: random groups, some encodes of each, in any of eight orientations."""
        rng = generator("batch", self.plan.seed, self.step)
        batch = replay.sample(rng, self.plan.groups)
        chosen = rng.permutation(batch.clips.shape[1])[: self.plan.encodes]
        clips, dense = batch.clips[:, chosen], batch.dense[:, chosen]
        if rng.random() < 0.5:
            clips, dense = clips[..., ::-1, :], dense[..., ::-1, :]
        if rng.random() < 0.5:
            clips, dense = clips[..., ::-1, :, :], dense[..., ::-1, :, :]
        if rng.random() < 0.5:
            clips, dense = clips.swapaxes(-3, -2), dense.swapaxes(-3, -2)
        return Group(
            np.ascontiguousarray(clips), np.ascontiguousarray(dense), batch.targets[:, chosen], batch.codecs[:, chosen]
        )

    def averaged(self) -> Pretrainer:
        """The network with the averaged weights, for evaluation and export."""
        return cast(Pretrainer, self.training.evaluated.eval())

    def save(self, path: Path) -> None:
        """Writes everything that continuing needs, atomically."""
        state = self.training.state_dict()
        state |= {"version": CHECKPOINT_VERSION, "made_from": self._made_from()}
        state |= {"plan": asdict(self.plan), "seconds": self.seconds}
        with replacing(path, durable=True) as fresh, refusals_unwrapped(), fresh.open("wb") as file:
            torch.save(state, file)

    def restore(self, path: Path) -> None:
        """Continues from a file that ``save`` wrote; the plan stays the one given, so that a run can be prolonged.

        Raises:
            PipelineError: another version of this code wrote the file.
        """
        state = _read(path)
        self.seconds = state["seconds"]
        self.training.load_state_dict(state)

    def differences(self, path: Path) -> list[str]:
        """In what this run differs from the one that wrote a file: code, settings, libraries, processor."""
        return differences(self._made_from(), _read(path)["made_from"])

    def _made_from(self) -> dict[str, str]:
        """All that shapes the run, but for what only decides its length and speed: a run may be prolonged."""
        settings = {name: value for name, value in asdict(self.plan).items() if name not in ("steps", "compiled")}
        return identity("pretrain", ROOMS, settings, {}, torch.device("cpu"))


def rate_factor(step: int, *, plan: Plan, of_heads: bool = False) -> float:
    """What the learning rate of one step is multiplied by: up over the warm-up, then down to 0 at the end.

    Args:
        step: from 0.
        plan: the course of the run.
        of_heads: for those parts that learn in the ``heads_first`` steps too.
    """
    up = (step + 1 - (0 if of_heads else plan.heads_first)) / plan.warmup
    down = (plan.steps - step) / max(1, plan.steps - plan.warmup)
    return max(0.0, min(1.0, up, down))


def optimisers_of(pretrainer: Pretrainer, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for everything else; both take the same rate.

    The score's loss reached at step 650 what AdamW alone reached at 2,600 (``docs/pretraining.md``).

    Ref: Jordan et al., "Muon" (2024); Liu et al., "Muon is scalable for LLM training" (2025), section 2.2 (the rate).
    """
    blocks = {f"model.blocks.{name}" for name, _ in pretrainer.model.blocks.named_parameters()}
    named = dict(pretrainer.named_parameters())
    matrices = [value for name, value in named.items() if name in blocks and value.ndim == 2]
    others = {name: value for name, value in named.items() if name not in blocks or value.ndim <= 1}
    decay = plan.weight_decay
    groups = []
    for heads in (False, True):
        mine = [value for name, value in others.items() if name.startswith("model.") != heads]
        groups += [
            {"params": [value for value in mine if value.ndim > 1], "weight_decay": decay, "heads": heads},
            {"params": [value for value in mine if value.ndim <= 1], "weight_decay": 0.0, "heads": heads},
        ]
    return [
        torch.optim.Muon(matrices, lr=plan.learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98)),
    ]


def saved_plan(path: Path) -> Plan:
    """The plan in a file that ``Run.save`` wrote."""
    return Plan(**_read(path)["plan"])


def _read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["version"] == 6:  # written before a checkpoint named what it was made from
        state |= {"version": 7, "model": state["pretrainer"], "num_steps": state["step"], "made_from": {}}
    if state["version"] != CHECKPOINT_VERSION:
        raise PipelineError(
            f"{path}: version {state['version']} of a pre-training checkpoint, expected {CHECKPOINT_VERSION}; "
            "it cannot be continued: move it away to begin again"
        )
    return state


def to_tensors(batch: Group) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Flattens groups and encodes into one batch axis: clips uint8 ``b t h w c``, dense ``b n 4``, targets, codecs."""
    size = batch.clips.shape[0] * batch.clips.shape[1]
    return (
        torch.from_numpy(batch.clips.reshape(size, *batch.clips.shape[2:])),
        torch.from_numpy(batch.dense.astype(np.float32).reshape(size, -1, batch.dense.shape[-1])),
        torch.from_numpy(batch.targets.reshape(size, -1)),
        torch.from_numpy(batch.codecs.reshape(size)),
    )


@contextmanager
def quick_arithmetic() -> Iterator[None]:
    """bfloat16 products and plain attention: on a CPU the fused attention's backward pass is several times slower."""
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", dtype=torch.bfloat16):
        yield
