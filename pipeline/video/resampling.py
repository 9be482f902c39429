"""Resizing in a fixed arithmetic: float32, tap by tap, rows first, rounded to nearest even.

Libraries resize differently from each other and from version to version: in antialiasing, in rounding, in the bicubic
constant. The weights here are those of torch's ``interpolate(align_corners=False)``: without antialias the triangle, or
the cubic with a = -0.75, at the source's scale; with antialias the triangle, or the cubic with a = -0.5, stretched to
the target's scale. Only the wanted part of the resized frame is computed, from only the source pixels that it needs.

Ref: Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 1981.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.video.pictures import Box, Picture

VERSION = 1
_CUBIC_PLAIN, _CUBIC_ANTIALIAS = -0.75, -0.5


@dataclass(frozen=True)
class Axis:
    """How the samples along one side of a patch are made.

    Attributes:
        needed: source positions that are mixed, ascending.
        mixing: float32 ``(length, needed)``, sparse, each row adding up to 1; None where source pixels are taken as
            they are.
    """

    needed: NDArray[np.intp]
    mixing: Any | None

    def pick(self, pixels: NDArray[Any], first: int) -> NDArray[Any]:
        """The needed entries of ``pixels``, whose first row stands at position ``first`` of the source."""
        start, stop = int(self.needed[0]) - first, int(self.needed[-1]) + 1 - first
        return pixels[start:stop] if self.needed.size == stop - start else pixels[self.needed - first]

    def mix(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Mixes the needed rows, ``n w c``, into the wanted ones."""
        if self.mixing is None:
            return pixels
        mixed: NDArray[Any] = self.mixing @ pixels.reshape(len(pixels), -1).astype(np.float32, copy=False)
        return mixed.reshape(-1, *pixels.shape[1:])


@lru_cache(maxsize=1024)
def axis(source: int, resized: int, start: int, length: int, interpolation: str, antialias: bool) -> Axis:
    """Plans one side of a patch.

    Args:
        source: length of the frame's side, in px.
        resized: length that it is resized to, in px.
        start: first position wanted, in the resized side.
        length: how many positions are wanted.
        interpolation: ``bilinear`` or ``bicubic``.
        antialias: whether resizing down first blurs.
    """
    wanted = np.arange(start, start + length, dtype=np.intp)
    if resized == source:
        return Axis(wanted, None)
    scale = source / resized
    stretch = max(scale, 1.0) if antialias else 1.0
    reach = stretch if interpolation == "bilinear" else 2 * stretch
    centres = (wanted + 0.5) * scale - 0.5
    if interpolation == "bilinear" and not antialias:
        centres = np.maximum(centres, 0.0)
    first = np.floor(centres - reach).astype(np.intp) + 1
    positions = first + np.arange(int(np.ceil(2 * reach)), dtype=np.intp)[:, None]
    distances = np.abs(positions - centres) / stretch
    weights = _triangle(distances) if interpolation == "bilinear" else _cubic(distances, antialias)
    if antialias:
        weights = np.where((positions >= 0) & (positions < source), weights, 0.0)
        weights /= weights.sum(axis=0)
    needed, taps = np.unique(np.clip(positions, 0, source - 1), return_inverse=True)
    ends = np.arange(length + 1) * len(positions)
    entries = (weights.T.astype(np.float32).reshape(-1), taps.reshape(positions.shape).T.reshape(-1), ends)
    return Axis(needed, csr_array(entries, shape=(length, needed.size)))


def _triangle(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1.0 - distance, 0.0)


def _cubic(distance: NDArray[np.float64], antialias: bool) -> NDArray[np.float64]:
    a = _CUBIC_ANTIALIAS if antialias else _CUBIC_PLAIN
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def resample(picture: Picture, patches: Sequence[tuple[Axis, Axis]]) -> list[NDArray[np.uint8]]:
    """Cuts patches out of the resized frame.

    Where the patches need most of the pixels that they span, these are converted once for all of them; else each
    patch's own pixels are.

    Args:
        picture: the frame.
        patches: plans of each patch's rows and columns.

    Returns:
        Per patch uint8 ``h w 3``: red, green, blue.
    """
    box = _span(patches)
    scattered = sum(rows.needed.size * columns.needed.size for rows, columns in patches)
    whole = picture.whole(min(scattered, box.height * box.width))
    if whole is None and scattered < box.height * box.width:
        pixels = [picture.gather(rows.needed[:, None], columns.needed[None, :]) for rows, columns in patches]
        return [_mix(own, rows, columns, None) for own, (rows, columns) in zip(pixels, patches, strict=True)]
    shared = picture.region(box) if whole is None else whole[box.top : box.top + box.height, box.left :]
    cuts = []
    for rows, columns in patches:
        first, last = int(columns.needed[0]) - box.left, int(columns.needed[-1]) + 1 - box.left
        cuts.append(_mix(rows.pick(shared[:, first:last], box.top), rows, columns, int(columns.needed[0])))
    return cuts


def _span(patches: Sequence[tuple[Axis, Axis]]) -> Box:
    top = min(int(rows.needed[0]) for rows, _ in patches)
    left = min(int(columns.needed[0]) for _, columns in patches)
    bottom = max(int(rows.needed[-1]) for rows, _ in patches) + 1
    right = max(int(columns.needed[-1]) for _, columns in patches) + 1
    return Box(top, left, bottom - top, right - left)


def _mix(pixels: NDArray[np.uint8], rows: Axis, columns: Axis, first: int | None) -> NDArray[np.uint8]:
    """Mixes rows, then columns.

    Args:
        pixels: the needed rows.
        rows: how they are mixed.
        columns: how their columns are mixed.
        first: source column at which ``pixels`` begins; None where it has the needed columns only.
    """
    turned = _turned(rows.mix(pixels))
    mixed = columns.mix(turned if first is None else columns.pick(turned, first))
    if mixed.dtype != np.uint8:
        mixed = np.clip(np.rint(mixed, out=mixed), 0, 255, out=mixed).astype(np.uint8)
    return _turned(mixed)


def _turned(pixels: NDArray[Any]) -> NDArray[Any]:
    """Rows and columns exchanged, ``h w c`` to ``w h c``, one pixel copied at a time rather than one number."""
    pixel = np.dtype((np.void, pixels.itemsize * pixels.shape[2]))
    items = np.ascontiguousarray(pixels).view(pixel)[..., 0]
    return np.ascontiguousarray(items.T)[..., None].view(pixels.dtype)
