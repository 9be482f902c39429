"""What a model expects of its clips: which frames, which crop, which normalisation, for both InternVideo2 families.

Frame rules are in ``pipeline/rendering/sampling.py``, spatial rules in ``pipeline/rendering/policies/``. ``normalise``
(``pipeline/models/pixels.py``) is the one place that turns stored pixels into model input.

Ref: the official evaluation code of InternVideo2 (fine-tuned: ``kinetics_sparse``; stage 2 and CLIP: the retrieval
test transform); InternVQA (ISCAS 2025) for the window rule. Left out: test-time segments and three-crop averaging.
"""

from dataclasses import dataclass
from typing import Literal

from pipeline.core.imagenet import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How a model's clips are made; part of a teacher's fingerprint.

    Attributes:
        family: ``internvideo2_finetuned``, ``internvideo2_stage2`` or another name for this set of rules.
        sampling: the frame rule: ``uniform``, ``middle`` or ``window``.
        policy: a file of ``pipeline/rendering/policies/``, such as ``resize`` (short side to ``size``, centre crop),
            ``squash`` (square, aspect ratio given up) or ``fragments`` (a grid of patches at native resolution).
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
    policy: str
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
