"""Fitting a checkpoint's tensors to another frame count, resolution, tubelet or head, by the official rules."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pipeline.models.internvideo2.config import InternVideo2Config
from pipeline.models.internvideo2.positions import interpolate_joint, interpolate_space, interpolate_time
from pipeline.models.internvideo2.reading import CheckpointError
from pipeline.models.internvideo2.recognition import stored_grid


def adapt_tensors(
    tensors: Mapping[str, Tensor],
    config: InternVideo2Config,
    path: Path,
    *,
    first_blocks: bool = False,
    grid: tuple[int, int, int] | None = None,
) -> tuple[dict[str, Tensor], list[str]]:
    """Fits what can be fitted to a configuration; everything else keeps its shape, and is judged later.

    Args:
        tensors: parameters by their official names.
        config: the model wanted.
        path: for messages.
        first_blocks: leave out the blocks beyond the model's depth.
        grid: of the stored joint position embedding, as its own configuration has it; None recognises it.

    Returns:
        The tensors, and one line per change.

    Raises:
        CheckpointError: a stored position embedding has no recognisable grid, or a K710 head would need a label map.
    """
    adapted, notes = dict(tensors), []
    notes += _inflate(adapted, config)
    if config.sep_pos_embed:
        notes += _interpolate_separate(adapted, config)
    else:
        notes += _interpolate(adapted, config, path, grid)
    notes += _cut_head(adapted, config, path)
    if first_blocks:
        notes += _cut_blocks(adapted, config)
    return adapted, notes


def _cut_blocks(tensors: dict[str, Tensor], config: InternVideo2Config) -> list[str]:
    places = {name: name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    beyond = [name for name, place in places.items() if place.isdecimal() and int(place) >= config.depth]
    for name in beyond:
        del tensors[name]
    count = len(set(places.values()))
    return [f"blocks: the first {config.depth} of {count}"] if beyond else []


def _inflate(tensors: dict[str, Tensor], config: InternVideo2Config) -> list[str]:
    """Inflates a tubelet of 1: the kernel goes to the centre, zeros around it."""
    name = "patch_embed.proj.weight"
    kernel = tensors.get(name)
    if kernel is None or kernel.ndim != 5 or kernel.shape[2] != 1 or config.tubelet_size == 1:
        return []
    if tuple(kernel.shape[3:]) != (config.patch_size, config.patch_size) or kernel.shape[0] != config.embed_dim:
        return []
    inflated = torch.zeros(*kernel.shape[:2], config.tubelet_size, *kernel.shape[3:], dtype=torch.float32)
    inflated[:, :, config.tubelet_size // 2] = kernel[:, :, 0].float()
    tensors[name] = inflated
    return [f"{name}: inflated from tubelet 1 to {config.tubelet_size}, the kernel in the centre"]


def _interpolate(
    tensors: dict[str, Tensor], config: InternVideo2Config, path: Path, grid: tuple[int, int, int] | None
) -> list[str]:
    stored = tensors.get("pos_embed")
    if stored is None or not _has_width(stored, config):
        return []
    if grid is not None and math.prod(grid) != stored.shape[1] - 1:
        grid = None
    if grid == config.grid or (grid is None and stored.shape[1] == 1 + config.num_patches):
        return []
    try:
        grid = grid or stored_grid(stored.shape[1] - 1, config)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    tensors["pos_embed"] = interpolate_joint(stored.float(), grid, config.grid)
    return [f"pos_embed: interpolated from {_times(grid)} to {_times(config.grid)}"]


def _interpolate_separate(tensors: dict[str, Tensor], config: InternVideo2Config) -> list[str]:
    notes = []
    time, side, _ = config.grid
    temporal, spatial = tensors.get("pos_embed_temporal"), tensors.get("pos_embed_spatial")
    if temporal is not None and _has_width(temporal, config) and temporal.shape[1] != time:
        tensors["pos_embed_temporal"] = interpolate_time(temporal.float().transpose(0, 1), time).transpose(0, 1)
        notes.append(f"pos_embed_temporal: interpolated from {temporal.shape[1]} to {time}")
    if spatial is not None and _has_width(spatial, config) and spatial.shape[1] != side * side:
        stored = math.isqrt(spatial.shape[1])
        if stored * stored == spatial.shape[1]:
            tensors["pos_embed_spatial"] = interpolate_space(spatial.float(), side)
            notes.append(f"pos_embed_spatial: interpolated from {stored} x {stored} to {side} x {side}")
    return notes


def _has_width(stored: Tensor, config: InternVideo2Config) -> bool:
    return stored.ndim == 3 and stored.shape[0] == 1 and stored.shape[2] == config.embed_dim


def _cut_head(tensors: dict[str, Tensor], config: InternVideo2Config, path: Path) -> list[str]:
    """Gives the first 400 rows of a K710 head to a K400 one, as the official label order allows."""
    weight, bias = tensors.get("head.weight"), tensors.get("head.bias")
    if weight is None or bias is None or weight.shape[0] != 710 or config.num_classes == 710:
        return []
    if config.num_classes in (600, 700):
        raise CheckpointError(
            f"{path}: a K710 head becomes K{config.num_classes} only through a label map; load it with num_classes=710 "
            "and choose the rows, or pass new_head=True"
        )
    if config.num_classes != 400:
        return []
    tensors["head.weight"], tensors["head.bias"] = weight[:400], bias[:400]
    return ["head: the first 400 of the K710 rows"]


def _times(grid: tuple[int, int, int]) -> str:
    return " x ".join(map(str, grid))
