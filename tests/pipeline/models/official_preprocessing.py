"""The official preprocessing as pure functions of decoded frames: what the view policies are compared with."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.rendering.sampling import PreprocessingError, frame_indices
from pipeline.teachers.shared.preprocessing import Preprocessing


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
