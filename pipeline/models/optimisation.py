"""What the two training loops share: AdamW's groups, the learning rate's course, averaged weights, repeatability."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core.errors import PipelineError

_BLOCK = re.compile(r"(?:^|\.)(?:blocks|layers?|stages|merge|halvings)\.(\d+)\.")
_STEM = re.compile(r"(?:^|\.)(?:patch_embed|embed|embedder|embeddings|stem|conv_stem|cls_token|pos_embed\w*)(?:\.|$)")
_NEVER_DECAYED = re.compile(r"(?:cls_token|pos_embed\w*|prompts?)$")


class LayerDecayError(PipelineError):
    """A model whose parameters' names do not tell how deep they lie."""


def parameter_groups(
    model: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    layer_decay: float,
    depth_of: Callable[[str], int],
) -> list[dict[str, Any]]:
    """Groups the trainable parameters by depth and by whether they decay.

    Vectors, scalars, tokens and position embeddings do not decay.

    Args:
        model: whose parameters train; frozen ones are left out.
        learning_rate: of the top.
        weight_decay: of those that decay.
        layer_decay: a parameter d layers below the top learns at ``learning_rate · layer_decay^d``.
        depth_of: from a parameter's name to d, 0 at the top.

    Returns:
        Groups for an optimiser in a fixed order; each keeps its own rate as ``base_lr`` for `set_learning_rate`.

    Raises:
        LayerDecayError: rates are to fall with depth, and no parameter lies below the top.
    """
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and not _NEVER_DECAYED.search(name)
            groups.setdefault((depth_of(name), decays), []).append(parameter)
    if layer_decay < 1.0 and all(depth == 0 for depth, _ in groups):
        raise LayerDecayError(
            f"layer_decay: got {layer_decay}, and no name of this model's parameters holds the number of a block; expected blocks.0, "
            "layers.0, layer.0 or stages.0 in some; set layer_decay to 1.0"
        )
    return [
        {
            "params": members,
            "lr": learning_rate * layer_decay**depth,
            "base_lr": learning_rate * layer_decay**depth,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (depth, decays), members in sorted(groups.items(), key=lambda item: item[0])
    ]


def depths_by_name(model: nn.Module) -> Callable[[str], int]:
    """How far below the top a parameter lies, by its name alone.

    Block i of ``blocks``, ``layers``, ``layer`` or ``stages``, and what leads on from it, lies as deep as the blocks
    after it are many, plus one; patch and position embeddings lie below all blocks; everything else is the top.
    """
    found = [int(match.group(1)) for name, _ in model.named_parameters() if (match := _BLOCK.search(name))]
    num_blocks = max(found, default=-1) + 1

    def depth_of(name: str) -> int:
        if match := _BLOCK.search(name):
            return num_blocks - int(match.group(1))
        return num_blocks + 1 if _STEM.search(name) else 0

    return depth_of


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


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Sets every group's rate to ``factor`` times its own."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


class WeightAverage:
    """An exponential moving average of a model's weights.

    Its decay rises from 0.1 towards the one asked for, so that the first steps do not hold it back.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes the model's present weights into the average."""
        self.num_updates += 1
        decay = min(self.decay, self.num_updates / (9.0 + self.num_updates))
        for name, value in model.state_dict().items():
            average = self.weights[name]
            if average.is_floating_point():
                average.lerp_(value, 1.0 - decay)
            else:
                average.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {"num_updates": self.num_updates, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a saved average."""
        self.num_updates = int(state["num_updates"])
        weights: Mapping[str, Tensor] = state["weights"]
        for name, value in weights.items():
            self.weights[name].copy_(value)
