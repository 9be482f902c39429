"""What a checkpoint's shapes say about the model it was saved from."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.models.internvideo2.config import VARIANTS, InternVideo2Config
from pipeline.models.internvideo2.reading import CheckpointError

_FRAME_COUNTS = (8, 4, 16)  # of official files, the commonest first
_OFFICIAL_SIDE = 16  # 224 px in patches of 14
_MAX_TOKENS = 2**17


def stored_grid(num_tokens: int, config: InternVideo2Config) -> tuple[int, int, int]:
    """Finds the grid of a stored joint position embedding from its length.

    The configuration's sites per frame are taken as the file's where they divide the token count, which gives the
    stored frames; else the first of 8, 4 and 16 frames that leaves a square. But twice or half an official file's
    resolution divides its tokens too (8 x 256 = 2 x 1024 = 32 x 64), so before frames that no official file has are
    believed, the 16 x 16 sites of the official files and the configuration's own frame count are tried.

    Args:
        num_tokens: position tokens without the cls row.
        config: the model wanted.

    Returns:
        Stored tokens along time, rows and columns.

    Raises:
        CheckpointError: no grid leaves a square, or there are implausibly many tokens.
    """
    if not 0 < num_tokens <= _MAX_TOKENS:
        raise CheckpointError(f"pos_embed: got {num_tokens} position tokens, expected 1 .. {_MAX_TOKENS}")
    time, rows, columns = config.grid
    divides = num_tokens % (rows * columns) == 0
    stored_time = num_tokens // (rows * columns)
    if divides and stored_time in _FRAME_COUNTS:
        return stored_time, rows, columns
    if num_tokens in [count * _OFFICIAL_SIDE**2 for count in _FRAME_COUNTS]:
        return num_tokens // _OFFICIAL_SIDE**2, _OFFICIAL_SIDE, _OFFICIAL_SIDE
    if divides:
        side = _square_side(num_tokens, time)
        return (time, side, side) if side is not None and stored_time > time else (stored_time, rows, columns)
    for candidate in _FRAME_COUNTS:
        side = _square_side(num_tokens, candidate)
        if side is not None:
            return candidate, side, side
    raise CheckpointError(
        f"pos_embed: {num_tokens} tokens are neither a multiple of the configuration's {rows} x {columns} sites nor "
        f"{', '.join(map(str, _FRAME_COUNTS))} square frames; pass a configuration with the file's image_size"
    )


def _square_side(num_tokens: int, time: int) -> int | None:
    sites, rest = divmod(num_tokens, time)
    side = math.isqrt(sites)
    return side if rest == 0 and side > 0 and side * side == sites else None


def recognise_config(tensors: Mapping[str, Tensor], path: Path) -> InternVideo2Config:
    """Builds the configuration of the official variant whose width a checkpoint has.

    Args:
        tensors: vision parameters by their official names.
        path: for messages.

    Returns:
        The variant, with the frames, options, head and projection that the file shows.

    Raises:
        CheckpointError: the width is no official one, or a key that shows it is missing.
    """
    for name in ("cls_token", "patch_embed.proj.weight", "clip_projector.cross_attn.proj.weight"):
        if name not in tensors:
            raise CheckpointError(
                f"{path}: {name} is missing, which shows the architecture; a partial (CLIP) file needs base="
            )
    width = tensors["cls_token"].shape[-1] if tensors["cls_token"].ndim else 0
    variant = next((fields for fields in VARIANTS.values() if fields["embed_dim"] == width), None)
    if variant is None:
        known = ", ".join(f"{fields['embed_dim']} ({name})" for name, fields in VARIANTS.items())
        raise CheckpointError(f"{path}: width {width} is no official one; known: {known}; pass config= for your own")
    kernel = tensors["patch_embed.proj.weight"]
    if kernel.ndim != 5 or kernel.shape[3] != kernel.shape[4] or not 1 <= kernel.shape[3] <= 224:
        raise CheckpointError(f"{path}: patch_embed.proj.weight is {tuple(kernel.shape)}, expected (c, 3, t, p, p)")
    fields: dict[str, Any] = {
        **variant,
        "patch_size": kernel.shape[3],
        "tubelet_size": kernel.shape[2],
        "num_frames": max(8, kernel.shape[2]),
        "sep_pos_embed": "pos_embed_spatial" in tensors,
        "qkv_bias": "blocks.0.attn.qkv.bias" in tensors,
        "qk_norm": "blocks.0.attn.q_norm.weight" in tensors,
        "layerscale_init": 1e-5 if "blocks.0.ls1.gamma" in tensors else 0.0,
        "pool_dim": tensors["clip_projector.cross_attn.proj.weight"].shape[0],
        "num_classes": tensors["head.weight"].shape[0] if "head.weight" in tensors else 0,
        **_projection(tensors),
    }
    return _with_grid(fields, tensors, path)


def _projection(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    for kind, name in (("linear", "vision_proj.weight"), ("norm_linear", "vision_align.1.weight")):
        if name in tensors and tensors[name].ndim == 2:
            return {"projection": kind, "projection_dim": tensors[name].shape[0]}
    return {}


def _with_grid(fields: dict[str, Any], tensors: Mapping[str, Tensor], path: Path) -> InternVideo2Config:
    """Completes the fields with the frames and the frame size of the stored position embedding."""
    if fields["sep_pos_embed"]:
        names = ("pos_embed_spatial", "pos_embed_temporal")
        if missing := [name for name in names if name not in tensors or tensors[name].ndim != 3]:
            raise CheckpointError(f"{path}: {missing[0]} is missing or not of shape (1, n, c)")
        side = math.isqrt(tensors["pos_embed_spatial"].shape[1])
        time = tensors["pos_embed_temporal"].shape[1]
    else:
        if "pos_embed" not in tensors or tensors["pos_embed"].ndim != 3:
            raise CheckpointError(f"{path}: pos_embed is missing or not of shape (1, n, c)")
        time, side, _ = stored_grid(tensors["pos_embed"].shape[1] - 1, InternVideo2Config(**fields))
    fields = {**fields, "num_frames": time * fields["tubelet_size"]}
    if side != 224 // fields["patch_size"]:
        fields["image_size"] = side * fields["patch_size"]
    return InternVideo2Config(**fields)
