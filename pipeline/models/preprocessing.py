"""What a model expects of its clips: which frames, which crop, which normalisation, for both InternVideo2 families.

Frame rules are pure functions of (frames in the video, frames wanted) and know nothing of decoding; spatial rules are
pure functions of decoded frames. ``normalise`` is the one place that turns stored pixels into model input.

Ref: the official evaluation code of InternVideo2 (fine-tuned: ``kinetics_sparse``; stage 2 and CLIP: the retrieval
test transform); InternVQA (ISCAS 2025) for the window rule. Left out: test-time segments and three-crop averaging.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import PipelineError, nearest

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PreprocessingError(PipelineError, ValueError):
    """Frames or settings from which no clip can be made."""


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


def uniform_indices(num_frames_of_video: int, wanted: int) -> np.ndarray:
    """Chooses frames as the official fine-tuned evaluation does: the first third of each of ``wanted`` segments.

    Args:
        num_frames_of_video: frames in the video, at least 1.
        wanted: frames in the clip, at least 1.

    Returns:
        int64 ``wanted``, ascending, in 0 .. num_frames_of_video-1; frames repeat in a video that is too short.

    Raises:
        PreprocessingError: a count below 1.
    """
    _check_counts(num_frames_of_video, wanted)
    segment = (num_frames_of_video - 1) / wanted
    starts = np.round(segment * np.arange(wanted)).astype(np.int64)
    return np.minimum(starts + int(segment / 2), num_frames_of_video - 1)


def middle_indices(num_frames_of_video: int, wanted: int) -> np.ndarray:
    """Chooses frames as the official stage-2 and CLIP evaluation does: the middle of each interval.

    Args:
        num_frames_of_video: frames in the video, at least 1.
        wanted: frames in the clip, at least 1.

    Returns:
        int64 ``wanted``, ascending; a video that is too short gives all its frames, then repeats its last.

    Raises:
        PreprocessingError: a count below 1.
    """
    _check_counts(num_frames_of_video, wanted)
    num_intervals = min(wanted, num_frames_of_video)
    edges = np.linspace(0, num_frames_of_video, num_intervals + 1).astype(np.int64)
    middles = (edges[:-1] + edges[1:] - 1) // 2
    return np.concatenate([middles, np.full(wanted - num_intervals, middles[-1], dtype=np.int64)])


def window_indices(num_frames_of_video: int, wanted: int, stride: int = 8, start: int | None = None) -> np.ndarray:
    """Chooses every ``stride``-th frame of one window, as InternVQA does (8 frames, stride 8: a 64-frame window).

    Args:
        num_frames_of_video: frames in the video, at least 1.
        wanted: frames in the clip, at least 1.
        stride: distance of two frames, at least 1.
        start: first frame of the window; None centres the window in the video.

    Returns:
        int64 ``wanted``, ascending; the last frame repeats where the window is longer than the video.

    Raises:
        PreprocessingError: a count below 1, or a start outside the video.
    """
    _check_counts(num_frames_of_video, wanted)
    if stride < 1:
        raise PreprocessingError(f"stride: got {stride}, expected at least 1")
    if start is None:
        start = max(0, (num_frames_of_video - wanted * stride) // 2)
    if not 0 <= start < num_frames_of_video:
        raise PreprocessingError(f"start: got {start}, expected a frame in 0 .. {num_frames_of_video - 1}")
    return np.minimum(start + stride * np.arange(wanted, dtype=np.int64), num_frames_of_video - 1)


FRAME_RULES = {"uniform": uniform_indices, "middle": middle_indices, "window": window_indices}
"""The frame rules by the name that ``Preprocessing.sampling`` and ``params.yaml`` use."""


def frame_indices(sampling: str, num_frames_of_video: int, wanted: int) -> np.ndarray:
    """Chooses frames by the named rule; see :data:`FRAME_RULES`.

    Raises:
        PreprocessingError: no such rule, or a count below 1.
    """
    if sampling not in FRAME_RULES:
        known = ", ".join(FRAME_RULES)
        raise PreprocessingError(f"unknown sampling {sampling!r}; known: {known}{nearest(sampling, FRAME_RULES)}")
    return FRAME_RULES[sampling](num_frames_of_video, wanted)


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
    shift = torch.tensor(mean, dtype=torch.float32, device=clips.device)
    scale = torch.tensor(std, dtype=torch.float32, device=clips.device)
    return ((clips.float() / 255.0 - shift) / scale).permute(0, 4, 1, 2, 3).contiguous()


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


def _check_counts(num_frames_of_video: int, wanted: int) -> None:
    if num_frames_of_video < 1 or wanted < 1:
        raise PreprocessingError(
            f"got {num_frames_of_video} frames in the video and {wanted} wanted; both must be at least 1"
        )
