"""The one colour rule: which matrix turns stored luma and chroma into RGB, and the integer arithmetic that does it.

A matrix named by the file is honoured. A file without one is BT.709 when it is high definition (height of 720 px or
more, as shown), else BT.601: players do the same, while FFmpeg's own default is BT.601 for all, which shifts the pixels
of untagged HD by 5.8 levels on average.

The arithmetic is FFmpeg's fixed-point ``yuv2rgb`` (three fractional bits, 16-bit coefficients with 13 fractional bits,
products floored), written for numpy and extended to more than 8 bits. It works pixel by pixel, each chroma sample
serving its whole block, so cropping first and converting after gives the same bytes as the other way round, on every
machine, and the same bytes as decord's own conversion (``tests/pipeline/decoders`` holds the two together).

Left out: tone mapping and gamut (an HDR file keeps its transfer curve), and chroma interpolation between blocks.

Ref: ITU-R BT.601-7, BT.709-6, BT.2020-2; FFmpeg ``libswscale/yuv2rgb.c`` for the coefficients' precision.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RULE = "tags, else bt709 from 720 px height and bt601 below; limited range; fixed-point yuv2rgb, nearest chroma"
VERSION = 1
HD_HEIGHT_PX = 720

# (V to red, U to blue, U to green, V to green), 16 fractional bits, for chroma of limited range.
_MATRICES = {
    "bt709": (117489, 138438, -13975, -34925),
    "bt601": (104597, 132201, -25675, -53279),
    "fcc": (104448, 132798, -24759, -53109),
    "smpte240m": (117579, 136230, -16907, -35559),
    "bt2020": (110013, 140363, -12277, -42626),
}
MATRICES = tuple(_MATRICES)
_LUMA_LIMITED = (1 << 16) * 255 // 219
_BLOCK_PIXELS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Colour:
    """How the samples of one frame are meant.

    Attributes:
        matrix: a name of ``MATRICES``.
        full_range: whether luma runs over all codes rather than 16 … 235 (at 8 bits).
    """

    matrix: str
    full_range: bool


@dataclass(frozen=True)
class _Coefficients:
    luma: int
    luma_offset: int
    red_v: int
    blue_u: int
    green_u: int
    green_v: int


def untagged(height: int) -> str:
    """The matrix of a file that names none.

    Args:
        height: of the frame as shown, in px.
    """
    return "bt709" if height >= HD_HEIGHT_PX else "bt601"


@lru_cache
def _coefficients(colour: Colour) -> _Coefficients:
    red_v, blue_u, green_u, green_v = _MATRICES[colour.matrix]
    luma, luma_offset = _LUMA_LIMITED, 16 << 3
    if colour.full_range:
        luma, luma_offset = 1 << 16, 0
        red_v, blue_u, green_u, green_v = (int(value * 224 / 255) for value in (red_v, blue_u, green_u, green_v))
    return _Coefficients(
        luma=_round(luma),
        luma_offset=luma_offset,
        red_v=_round(red_v),
        blue_u=_round(blue_u),
        green_u=_round(green_u),
        green_v=_round(green_v),
    )


def _round(value: int) -> int:
    """From 16 to 13 fractional bits, to nearest."""
    return ((value << 13) + (1 << 15)) >> 16


def _eighths(samples: NDArray[np.integer], depth: int, offset: int) -> NDArray[np.int32]:
    """Samples of ``depth`` bits as 8-bit levels with three fractional bits, less ``offset``."""
    wide = samples.astype(np.int32)
    if depth < 11:
        wide <<= 11 - depth
    elif depth > 11:
        wide >>= depth - 11
    wide -= offset
    return wide


def _product(values: NDArray[np.int32], coefficient: int) -> NDArray[np.int32]:
    return (values * np.int32(coefficient)) >> 16


def _chroma_terms(
    u: NDArray[np.integer], v: NDArray[np.integer], depth: int, colour: Colour
) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """What chroma adds to red, green and blue."""
    factors = _coefficients(colour)
    wide_u, wide_v = _eighths(u, depth, 128 << 3), _eighths(v, depth, 128 << 3)
    green = _product(wide_u, factors.green_u) + _product(wide_v, factors.green_v)
    return (
        _product(wide_v, factors.red_v).astype(np.int16),
        green.astype(np.int16),
        _product(wide_u, factors.blue_u).astype(np.int16),
    )


def _luma_term(y: NDArray[np.integer], depth: int, colour: Colour) -> NDArray[np.int16]:
    factors = _coefficients(colour)
    wide = _eighths(y, depth, factors.luma_offset)
    wide *= np.int32(factors.luma)
    wide >>= 16
    return wide.astype(np.int16)


def pixels_to_rgb(
    y: NDArray[np.integer],
    u: NDArray[np.integer],
    v: NDArray[np.integer],
    *,
    depth: int,
    colour: Colour,
    samples: NDArray[np.intp] | None = None,
) -> NDArray[np.uint8]:
    """Converts pixels that lie anywhere.

    Args:
        y: luma, any shape.
        u: blue-difference chroma, one for each pixel, or those that ``samples`` points into.
        v: red-difference chroma, as ``u``.
        depth: bits per sample, 8 … 16.
        colour: matrix and range.
        samples: which entry of the flattened chroma belongs to each pixel, of luma's shape, where pixels share them.

    Returns:
        uint8 of the same shape with a last axis of red, green, blue.
    """
    luma = _luma_term(y, depth, colour)
    rgb = np.empty((*y.shape, 3), np.uint8)
    for channel, chroma in enumerate(_chroma_terms(u, v, depth, colour)):
        total = chroma if samples is None else chroma.take(samples)
        total += luma
        np.clip(total, 0, 255, out=total)
        rgb[..., channel] = total
    return rgb


def planes_to_rgb(
    y: NDArray[np.integer],
    u: NDArray[np.integer],
    v: NDArray[np.integer],
    *,
    subsampling: tuple[int, int],
    origin: tuple[int, int],
    depth: int,
    colour: Colour,
) -> NDArray[np.uint8]:
    """Converts a region of subsampled planes, a band of rows at a time so that memory stays small.

    Args:
        y: luma ``h w``.
        u: blue-difference chroma of the blocks that the region touches.
        v: red-difference chroma of the same blocks.
        subsampling: how far luma's row and column are shifted right to find their chroma sample; (1, 1) for 4:2:0.
        origin: row and column of the region's first pixel inside its first chroma block.
        depth: bits per sample, 8 … 16.
        colour: matrix and range.

    Returns:
        uint8 ``h w 3``: red, green, blue.
    """
    height, width = y.shape
    (row_shift, column_shift), (row_origin, column_origin) = subsampling, origin
    rgb = np.empty((height, width, 3), np.uint8)
    band = max(_BLOCK_PIXELS // max(width, 1), 2) & ~1
    for top in range(0, height, band):
        bottom = min(top + band, height)
        first, last = (top + row_origin) >> row_shift, ((bottom - 1 + row_origin) >> row_shift) + 1
        luma = _luma_term(y[top:bottom], depth, colour)
        skip = top + row_origin - (first << row_shift)
        for channel, chroma in enumerate(_chroma_terms(u[first:last], v[first:last], depth, colour)):
            wide = chroma
            if column_shift:
                wide = wide.repeat(1 << column_shift, axis=1)
            if row_shift:
                wide = wide.repeat(1 << row_shift, axis=0)
            total = luma + wide[skip : skip + bottom - top, column_origin : column_origin + width]
            np.clip(total, 0, 255, out=total)
            rgb[top:bottom, :, channel] = total
    return rgb
