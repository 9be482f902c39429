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

from pipeline.pictures import Box, Picture

VERSION = 1
_CUBIC_PLAIN, _CUBIC_ANTIALIAS = -0.75, -0.5


@dataclass(frozen=True)
class Axis:
    """How the samples along one side of a patch are made.

    Attributes:
        needed: source positions that are mixed, ascending.
        taps: intp ``(taps, length)``: which entries of ``needed`` each output position mixes.
        weights: float32 ``(taps, length)``, adding up to 1 over the taps; None where source pixels are taken
            as they are.
    """

    needed: NDArray[np.intp]
    taps: NDArray[np.intp]
    weights: NDArray[np.float32] | None


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
        return Axis(wanted, np.arange(length, dtype=np.intp)[None], None)
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
    return Axis(needed, taps.reshape(positions.shape), weights.astype(np.float32))


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
    if sum(rows.needed.size * columns.needed.size for rows, columns in patches) < box.height * box.width:
        return [
            _mix(picture.gather(rows.needed[:, None], columns.needed[None, :]), rows, columns)
            for rows, columns in patches
        ]
    shared = picture.region(box)
    return [
        _mix(shared[rows.needed[0] - box.top :, columns.needed[0] - box.left :], _dense(rows), _dense(columns))
        for rows, columns in patches
    ]


def _dense(plan: Axis) -> Axis:
    """The plan with taps that count source positions from the first needed one."""
    return Axis(plan.needed, (plan.needed - plan.needed[0])[plan.taps], plan.weights)


def _span(patches: Sequence[tuple[Axis, Axis]]) -> Box:
    top = min(int(rows.needed[0]) for rows, _ in patches)
    left = min(int(columns.needed[0]) for _, columns in patches)
    bottom = max(int(rows.needed[-1]) for rows, _ in patches) + 1
    right = max(int(columns.needed[-1]) for _, columns in patches) + 1
    return Box(top, left, bottom - top, right - left)


def _mix(pixels: NDArray[np.uint8], rows: Axis, columns: Axis) -> NDArray[np.uint8]:
    if rows.weights is None and columns.weights is None:
        whole: NDArray[np.uint8] = pixels[rows.taps[0]][:, columns.taps[0]]
        return whole
    mixed = _along_rows(pixels[:, : int(columns.taps.max()) + 1], rows)
    mixed = _along_rows(mixed.transpose(1, 0, 2), columns).transpose(1, 0, 2)
    rounded: NDArray[np.uint8] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return rounded


def _along_rows(pixels: NDArray[Any], plan: Axis) -> NDArray[np.float32]:
    if plan.weights is None:
        return np.asarray(pixels[plan.taps[0]], np.float32)
    total: NDArray[np.float32] = np.zeros((plan.taps.shape[1], *pixels.shape[1:]), np.float32)
    for tap, weight in zip(plan.taps, plan.weights, strict=True):
        total += pixels[tap] * weight[:, None, None]
    return total
