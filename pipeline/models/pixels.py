"""Stored pixels become model input: ``normalise``, and ImageNet's mean and deviation."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.core.errors import PipelineError
from pipeline.core.imagenet import IMAGENET_MEAN, IMAGENET_STD


class PixelsError(PipelineError, ValueError):
    """Clips that are no stored pixels."""


def normalise(clips: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """Turns stored pixels into model input.

    Args:
        clips: uint8 ``b t h w c``, RGB.
        mean: per channel, of values in [0, 1].
        std: likewise.

    Returns:
        float32 ``b c t h w`` on the same device.

    Raises:
        PixelsError: the clips are not uint8 ``b t h w 3``.
    """
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise PixelsError(f"clips: got {clips.dtype} {tuple(clips.shape)}, expected uint8 (b, t, h, w, 3)")
    shift, scale = (
        torch.tensor(values, dtype=torch.float32, device=clips.device).view(3, 1, 1, 1) for values in (mean, std)
    )
    # Bytes are put in order before they become floats, and the floats are changed in place: a quarter of the time.
    pixels = clips.permute(0, 4, 1, 2, 3).contiguous().float()
    return pixels.div_(255.0).sub_(shift).div_(scale)
