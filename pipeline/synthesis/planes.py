"""The picture format of the procedural sources: planar YCbCr, in float while it is drawn, 8-bit 4:2:0 when finished."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Byte = NDArray[np.uint8]


@dataclass(frozen=True)
class Shape:
    """Size of a source: frame width and height in px (both even) and the number of frames."""

    width: int
    height: int
    num_frames: int


@dataclass
class Planes:
    """A picture or video being drawn.

    Attributes:
        y: float32 ``[t] h w``; 0 is black and 1 is white.
        u: float32 ``[t] h/2 w/2``, colour difference around 0, about -0.5 … 0.5.
        v: as ``u``.
    """

    y: Float
    u: Float
    v: Float


@dataclass(frozen=True)
class Video420:
    """An 8-bit 4:2:0 video in limited range.

    Attributes:
        y: uint8 ``t h w``.
        u: uint8 ``t h/2 w/2``.
        v: uint8 ``t h/2 w/2``.
    """

    y: Byte
    u: Byte
    v: Byte

    @property
    def shape(self) -> Shape:
        """The size."""
        num_frames, height, width = self.y.shape
        return Shape(width, height, num_frames)


def quantise(planes: Planes) -> Video420:
    """Rounds to 8 bits, limited range."""
    y = np.clip(planes.y, -0.05, 1.05) * np.float32(219.0) + np.float32(16.5)
    u = np.clip(planes.u, -0.5, 0.5) * np.float32(224.0) + np.float32(128.5)
    v = np.clip(planes.v, -0.5, 0.5) * np.float32(224.0) + np.float32(128.5)
    return Video420(y.astype(np.uint8), u.astype(np.uint8), v.astype(np.uint8))


def halve(plane: Float) -> Float:
    """Averages 2x2 blocks of the last two axes, as 4:2:0 chroma is sited."""
    rows = plane[..., 0::2, :] + plane[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)
