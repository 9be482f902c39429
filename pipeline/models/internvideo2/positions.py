"""Position embeddings: their sincos initial value, and their interpolation to another frame count or resolution.

Ref: Dosovitskiy et al., "An Image is Worth 16x16 Words" (ICLR 2021), section 3.2, for the idea of interpolating; order
and modes are those of the official InternVideo2 fine-tuning code.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def sincos(positions: Tensor, dim: int) -> Tensor:
    """Encodes scalar positions as ``[sin | cos]`` of ``position * 10000 ** (-i / (dim / 2))``.

    Args:
        positions: float64 ``n``.
        dim: width of the code, even.

    Returns:
        float64 ``n dim``.
    """
    half = dim // 2
    omega = 10000.0 ** (-torch.arange(half, dtype=torch.float64, device=positions.device) / half)
    angles = positions[:, None] * omega[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def sincos_2d(rows: int, columns: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """Encodes a grid as float64 ``rows*columns dim``, row-major; the first half of the channels encodes the column."""
    row, column = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64, device=device),
        torch.arange(columns, dtype=torch.float64, device=device),
        indexing="ij",
    )
    return torch.cat([sincos(column.flatten(), dim // 2), sincos(row.flatten(), dim // 2)], dim=1)


def sincos_3d(grid: tuple[int, int, int], dim: int, device: torch.device | str = "cpu") -> Tensor:
    """Encodes a clip's grid t-major, with a zero row for the cls token in front.

    Args:
        grid: tokens along time, rows and columns.
        dim: width of the code; a quarter of it encodes time, the rest space.
        device: where to compute.

    Returns:
        float64 ``1+t*rows*columns dim``.
    """
    time, rows, columns = grid
    temporal = sincos(torch.arange(time, dtype=torch.float64, device=device), dim // 4)
    spatial = sincos_2d(rows, columns, dim // 4 * 3, device)
    code = torch.cat([temporal.repeat_interleave(rows * columns, dim=0), spatial.repeat(time, 1)], dim=1)
    return torch.cat([code.new_zeros(1, dim), code])


def interpolate_time(positions: Tensor, time: int) -> Tensor:
    """Interpolates ``t n c`` linearly along t to ``time n c`` (``align_corners=False``)."""
    if positions.shape[0] == time:
        return positions
    per_site = positions.permute(1, 2, 0)
    return F.interpolate(per_site, size=time, mode="linear", align_corners=False).permute(2, 0, 1)


def interpolate_space(positions: Tensor, side: int) -> Tensor:
    """Interpolates ``t side0*side0 c`` bicubically per frame to ``t side*side c`` (no antialias)."""
    stored = round(positions.shape[1] ** 0.5)
    if stored == side:
        return positions
    maps = positions.reshape(len(positions), stored, stored, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(maps, size=(side, side), mode="bicubic", align_corners=False, antialias=False)
    return resized.permute(0, 2, 3, 1).flatten(1, 2)


def interpolate_joint(pos_embed: Tensor, stored: tuple[int, int, int], wanted: tuple[int, int, int]) -> Tensor:
    """Interpolates a joint position embedding: first time, then space; the cls row stays.

    Args:
        pos_embed: float ``1 1+t*h*w c``.
        stored: its grid, square in space.
        wanted: the model's grid, square in space.

    Returns:
        float ``1 1+t'*h'*w' c``; the input itself where the grids agree.
    """
    if stored == wanted:
        return pos_embed
    cls_row, sites = pos_embed[:, :1], pos_embed[0, 1:]
    sites = sites.reshape(stored[0], stored[1] * stored[2], -1)
    sites = interpolate_space(interpolate_time(sites, wanted[0]), wanted[1])
    return torch.cat([cls_row, sites.flatten(0, 1)[None]], dim=1)
