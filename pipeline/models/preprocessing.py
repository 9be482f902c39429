"""What a model expects of its clips: which frames, which crop, which normalisation, for both InternVideo2 families.

Frame rules are in ``pipeline/models/sampling.py``; spatial rules are pure functions of decoded frames. ``normalise`` is
the one place that turns stored pixels into model input.

Ref: the official evaluation code of InternVideo2 (fine-tuned: ``kinetics_sparse``; stage 2 and CLIP: the retrieval
test transform); InternVQA (ISCAS 2025) for the window rule. Left out: test-time segments and three-crop averaging.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.models.sampling import PreprocessingError, frame_indices
from pipeline.models.sampling import middle_indices as middle_indices
from pipeline.models.sampling import uniform_indices as uniform_indices
from pipeline.models.sampling import window_indices as window_indices

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How a model's clips are made; part of a teacher's fingerprint.

    Attributes:
        family: ``internvideo2_finetuned``, ``internvideo2_stage2`` or another name for this set of rules.
        sampling: the frame rule: ``uniform``, ``middle`` or ``window``.
        policy: ``resize`` (short side to ``size``, centre crop), ``squash`` (square, aspect ratio given up) or
            ``fragments`` (a grid of patches at native resolution).
        size: side of the square clip, in pixels.
        num_frames: frames per clip.
        interpolation: of ``resize`` and ``squash``.
        antialias: of ``resize`` and ``squash``; pinned, because libraries and versions differ in their default.
        mean: subtracted from RGB in [0, 1].
        std: then divides it.
        fragment_grid: patches per row and column, for ``fragments``; 0 otherwise.
    """

    family: str
    sampling: Literal["uniform", "middle", "window"]
    policy: Literal["resize", "squash", "fragments"]
    size: int = 224
    num_frames: int = 8
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fragment_grid: int = 0


FINETUNED = Preprocessing(family="internvideo2_finetuned", sampling="uniform", policy="resize")
"""The fine-tuned models: short side to 224, bilinear as cv2 does it (no antialias), centre crop."""

STAGE2 = Preprocessing(
    family="internvideo2_stage2", sampling="middle", policy="squash", num_frames=4, interpolation="bicubic"
)
"""Stage 2 and CLIP: square bicubic resize of tensors as torchvision 0.14 does it (no antialias)."""


def resize_and_crop(frames: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Resizes the short side to ``size`` and crops the centre, as the fine-tuned evaluation does.

    Args:
        frames: uint8 ``t h w c``.
        preprocessing: gives size, interpolation and antialias.

    Returns:
        uint8 ``t size size c``.
    """
    size = preprocessing.size
    height, width = frames.shape[1:3]
    if width < height:
        new_height, new_width = int(size * height / width), size
    else:
        new_height, new_width = size, int(size * width / height)
    resized = _interpolate(frames, new_height, new_width, preprocessing)
    top, left = round((new_height - size) / 2), round((new_width - size) / 2)
    return resized[:, top : top + size, left : left + size]


def squash(frames: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Resizes uint8 ``t h w c`` to the square ``t size size c`` without a crop, as stage 2 and CLIP do."""
    return _interpolate(frames, preprocessing.size, preprocessing.size, preprocessing)


def preprocess(frames: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Makes the whole-frame clip of a decoded video: chooses its frames, resizes, crops.

    Args:
        frames: uint8 ``t h w c``, all frames of the video, RGB.
        preprocessing: with policy ``resize`` or ``squash``.

    Returns:
        uint8 ``num_frames size size c``; give it to :func:`normalise`.

    Raises:
        PreprocessingError: the policy is not a whole-frame one, or there is no frame.
    """
    spatial = {"resize": resize_and_crop, "squash": squash}.get(preprocessing.policy)
    if spatial is None:
        raise PreprocessingError(f"policy {preprocessing.policy!r} is no whole-frame policy; expected resize or squash")
    chosen = frame_indices(preprocessing.sampling, len(frames), preprocessing.num_frames)
    return spatial(frames[torch.from_numpy(chosen)], preprocessing)


def normalise(clips: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """Turns stored pixels into model input.

    Args:
        clips: uint8 ``b t h w c``, RGB.
        mean: per channel, of values in [0, 1].
        std: likewise.

    Returns:
        float32 ``b c t h w`` on the same device.

    Raises:
        PreprocessingError: the clips are not uint8 ``b t h w 3``.
    """
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise PreprocessingError(f"clips: got {clips.dtype} {tuple(clips.shape)}, expected uint8 (b, t, h, w, 3)")
    shift, scale = (
        torch.tensor(values, dtype=torch.float32, device=clips.device).view(3, 1, 1, 1) for values in (mean, std)
    )
    # Bytes are put in order before they become floats, and the floats are changed in place: a quarter of the time.
    pixels = clips.permute(0, 4, 1, 2, 3).contiguous().float()
    return pixels.div_(255.0).sub_(shift).div_(scale)


def _interpolate(frames: Tensor, height: int, width: int, preprocessing: Preprocessing) -> Tensor:
    if tuple(frames.shape[1:3]) == (height, width):
        return frames
    resized = F.interpolate(
        frames.permute(0, 3, 1, 2).float(),
        size=(height, width),
        mode=preprocessing.interpolation,
        align_corners=False,
        antialias=preprocessing.antialias,
    )
    return resized.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
