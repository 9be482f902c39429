"""AdamW's groups of parameters: rates that fall with depth, and decay for matrices alone."""

import re
from collections.abc import Callable
from typing import Any

from torch import nn

from pipeline.core.errors import PipelineError

_BLOCK = re.compile(r"(?:^|\.)(?:blocks|layers?|stages|merge|halvings)\.(\d+)\.")
_STEM = re.compile(r"(?:^|\.)(?:patch_embed|embed|embedder|embeddings|stem|conv_stem|cls_token|pos_embed\w*)(?:\.|$)")
_NEVER_DECAYED = re.compile(r"(?:cls_token|pos_embed\w*|prompts?)$")


class LayerDecayError(PipelineError):
    """A model whose parameters' names do not show how deep they lie."""


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
        Groups for an optimiser in a fixed order; each has the highest rate that it learns at.

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
            f"layer_decay: got {layer_decay}, and no name of this model's parameters holds a block's number; "
            "expected blocks.0, layers.0, layer.0 or stages.0 in some; set layer_decay to 1.0"
        )
    return [
        {
            "params": members,
            "lr": learning_rate * layer_decay**depth,
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
