"""Running a finished model: inference mode, mixed precision, compilation."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.models.internvideo2.model import InternVideo2, InternVideo2Output


def infer(
    model: InternVideo2,
    pixels: Tensor,
    *,
    precision: Literal["float32", "bfloat16"] = "float32",
    layers: Sequence[int] = (),
) -> InternVideo2Output:
    """Encodes clips without a graph.

    Args:
        model: in evaluation mode.
        pixels: float ``b 3 t h w``, normalised, on the model's device.
        precision: ``bfloat16`` runs matrix products and attention in bfloat16 by autocast; the residual stream, norm
            statistics and LayerScale stay float32.
        layers: blocks whose mean-pooled tokens are wanted too.

    Returns:
        Every level, in float32.

    Raises:
        ClipShapeError: the pixels' shape or a layer is not the model's.
    """
    device = pixels.device.type
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
        output = model(pixels, layers=layers)
    return InternVideo2Output(**{name: tensor.float() for name, tensor in output.items()})


def lower_weights(model: InternVideo2) -> InternVideo2:
    """Rounds the weights of linear layers and of the patch embedding to bfloat16, once.

    Autocast rounds the very same weights to the very same values in each forward; doing it once leaves every bit of the
    output as it is, saves that pass over all weights, and halves their memory.

    Args:
        model: changed in place; to be run under autocast to bfloat16.

    Returns:
        The model.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv3d):
            module.to(torch.bfloat16)
    return model


def compile_blocks(model: InternVideo2, backend: str = "inductor") -> InternVideo2:
    """Compiles each block and the pooling in place with ``torch.compile``; parameter names stay.

    Blocks share their code, so the first one is compiled and the others reuse it. Results differ from the eager ones by
    rounding: whether a model is compiled belongs to its fingerprint.

    Args:
        model: changed in place.
        backend: of ``torch.compile``; ``inductor`` needs a C++ compiler on a CPU.

    Returns:
        The model.
    """
    for block in model.blocks:
        block.compile(backend=backend)
    model.clip_projector.compile(backend=backend)
    return model
