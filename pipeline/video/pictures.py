"""One decoded frame, from which any region is read as RGB: crop first, convert after.

Where a large part of the frame is wanted and the decoder's own library converts whole frames to the very same bytes
much faster, that is used instead (``whole``); the pixels are the same either way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.video.colour import Colour, pixels_to_rgb, planes_to_rgb


class Box(NamedTuple):
    """A rectangle of whole pixels inside a frame, as shown."""

    top: int
    left: int
    height: int
    width: int


class Picture(Protocol):
    """A decoded frame, upright; its pixels are valid until the next frame is asked for."""

    @property
    def height(self) -> int:
        """In px, as shown."""

    @property
    def width(self) -> int:
        """In px, as shown."""

    def region(self, box: Box) -> NDArray[np.uint8]:
        """The pixels of a rectangle.

        Args:
            box: inside the frame.

        Returns:
            uint8 ``h w 3``: red, green, blue.
        """

    def gather(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Scattered pixels.

        Args:
            rows: inside the frame, any shape.
            columns: inside the frame; the two shapes are broadcast together.

        Returns:
            uint8 of that shape with a last axis of red, green, blue.
        """

    def squares(self, corners: Sequence[tuple[int, int]], side: int) -> NDArray[np.uint8]:
        """Squares of one size.

        Args:
            corners: top and left of each, inside the frame.
            side: of every square, in px.

        Returns:
            uint8 ``n h w 3``: red, green, blue.
        """

    def whole(self, num_pixels: int) -> NDArray[np.uint8] | None:
        """The whole frame, where having it costs no more than having some of its pixels.

        Args:
            num_pixels: how many are wanted.

        Returns:
            uint8 ``h w 3``; None where ``region``, ``gather`` and ``squares`` are cheaper.
        """

    def turned(self, quarters: int, is_mirrored: bool = False) -> "Picture":
        """The frame mirrored left to right where that is asked for, then turned clockwise by quarter turns."""

    def cropped(self, box: Box) -> "Picture":
        """What lies inside a box."""


_WHOLE_IS_CHEAPER_BY = 16
_Corners = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class PlanarPicture:
    """A frame whose luma and chroma lie in planes of their own.

    Attributes:
        y: luma ``h w``, unsigned integers.
        u: blue-difference chroma of the same type, subsampled; None for grey frames.
        v: red-difference chroma, as ``u``.
        subsampling: how far luma's row and column are shifted right to find their chroma sample; (1, 1) for 4:2:0.
        depth: bits per sample, 8 … 16.
        colour: matrix and range.
        convert: converts the whole frame to uint8 ``h w 3`` with the same bytes as ``region``, but faster.
    """

    y: NDArray[np.integer]
    u: NDArray[np.integer] | None
    v: NDArray[np.integer] | None
    subsampling: tuple[int, int]
    depth: int
    colour: Colour
    convert: Callable[[], NDArray[np.uint8]] | None = None
    _converted: list[NDArray[np.uint8]] = field(default_factory=list)

    @property
    def height(self) -> int:
        """In px."""
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        """In px."""
        return int(self.y.shape[1])

    def region(self, box: Box) -> NDArray[np.uint8]:
        """As ``Picture.region``."""
        rows, columns = self.subsampling
        top, left, height, width = box
        luma = self.y[top : top + height, left : left + width]
        if self.u is None or self.v is None:
            neutral = np.full(luma.shape, 1 << (self.depth - 1), luma.dtype)
            return pixels_to_rgb(luma, neutral, neutral, depth=self.depth, colour=self.colour)
        blocks = np.s_[
            top >> rows : ((top + height - 1) >> rows) + 1, left >> columns : ((left + width - 1) >> columns) + 1
        ]
        origin = (top & ((1 << rows) - 1), left & ((1 << columns) - 1))
        return planes_to_rgb(
            luma,
            self.u[blocks],
            self.v[blocks],
            subsampling=self.subsampling,
            origin=origin,
            depth=self.depth,
            colour=self.colour,
        )

    def gather(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.uint8]:
        """As ``Picture.gather``."""
        luma = self.y[rows, columns]
        if self.u is None or self.v is None:
            neutral = np.full(luma.shape, 1 << (self.depth - 1), luma.dtype)
            return pixels_to_rgb(luma, neutral, neutral, depth=self.depth, colour=self.colour)
        at = (rows >> self.subsampling[0], columns >> self.subsampling[1])
        return pixels_to_rgb(luma, self.u[at], self.v[at], depth=self.depth, colour=self.colour)

    def squares(self, corners: Sequence[tuple[int, int]], side: int) -> NDArray[np.uint8]:
        """As ``Picture.squares``; each chroma sample is converted once for all the pixels that it serves."""
        luma = _cut(self.y, tuple(corners), (side, side))
        if self.u is None or self.v is None:
            neutral = np.full(luma.shape, 1 << (self.depth - 1), luma.dtype)
            return pixels_to_rgb(luma, neutral, neutral, depth=self.depth, colour=self.colour)
        blocks = _blocks(tuple(corners), side, self.subsampling, self.u.shape)
        u, v = (_cut(plane, blocks.corners, blocks.size) for plane in (self.u, self.v))
        return pixels_to_rgb(luma, u, v, depth=self.depth, colour=self.colour, samples=blocks.samples)

    def whole(self, num_pixels: int) -> NDArray[np.uint8] | None:
        """As ``Picture.whole``."""
        if self.convert is None or self.height * self.width > _WHOLE_IS_CHEAPER_BY * num_pixels:
            return None
        if not self._converted:
            self._converted.append(self.convert())
        return self._converted[0]

    def turned(self, quarters: int, is_mirrored: bool = False) -> "Picture":
        """The frame mirrored left to right where that is asked for, then turned clockwise by quarter turns."""
        rows, columns = self.subsampling
        if self.height % (1 << rows) or self.width % (1 << columns):
            return RgbPicture(self.region(Box(0, 0, self.height, self.width))).turned(quarters, is_mirrored)
        y, u, v = (None if plane is None else _turn(plane, quarters, is_mirrored) for plane in (self.y, self.u, self.v))
        assert y is not None
        subsampling = self.subsampling if quarters % 2 == 0 else (columns, rows)
        return PlanarPicture(y=y, u=u, v=v, subsampling=subsampling, depth=self.depth, colour=self.colour)

    def cropped(self, box: Box) -> "Picture":
        """What lies inside a box."""
        top, left, height, width = box
        rows, columns = self.subsampling
        if top % (1 << rows) or left % (1 << columns):
            return RgbPicture(self.region(box))
        chroma = np.s_[top >> rows : -(-(top + height) >> rows), left >> columns : -(-(left + width) >> columns)]
        return PlanarPicture(
            y=self.y[top : top + height, left : left + width],
            u=None if self.u is None else self.u[chroma],
            v=None if self.v is None else self.v[chroma],
            subsampling=self.subsampling,
            depth=self.depth,
            colour=self.colour,
        )


def _turn(pixels: NDArray[Any], quarters: int, is_mirrored: bool) -> NDArray[Any]:
    return np.rot90(pixels[:, ::-1] if is_mirrored else pixels, -quarters)


def _cut(plane: NDArray[np.integer], corners: _Corners, size: tuple[int, int]) -> NDArray[np.integer]:
    """Rectangles of one size, ``n h w``."""
    height, width = size
    cuts = np.empty((len(corners), height, width), plane.dtype)
    for number, (top, left) in enumerate(corners):
        cuts[number] = plane[top : top + height, left : left + width]
    return cuts


class _Blocks(NamedTuple):
    """The chroma samples of squares: rectangles of one size, and which sample of them belongs to each pixel."""

    corners: _Corners
    size: tuple[int, int]
    samples: NDArray[np.intp]


@lru_cache(maxsize=8)
def _blocks(corners: _Corners, side: int, subsampling: tuple[int, int], plane: tuple[int, int]) -> _Blocks:
    """Plans ``PlanarPicture.squares``, once for all frames of a clip.

    Args:
        corners: of the squares, in luma.
        side: of the squares, in px of luma.
        subsampling: of the chroma.
        plane: height and width of a chroma plane.
    """
    firsts, places, size = [], [], []
    for axis, shift in enumerate(subsampling):
        length = min(((side + (1 << shift) - 2) >> shift) + 1, plane[axis])
        start = np.array([corner[axis] for corner in corners], np.intp)
        first = np.minimum(start >> shift, plane[axis] - length)
        firsts.append(first.tolist())
        places.append(((start[:, None] + np.arange(side)) >> shift) - first[:, None])
        size.append(length)
    number = np.arange(len(corners))[:, None, None]
    samples = (number * size[0] + places[0][:, :, None]) * size[1] + places[1][:, None, :]
    return _Blocks(tuple(zip(*firsts, strict=True)), (size[0], size[1]), samples)


@dataclass(frozen=True)
class RgbPicture:
    """A frame that its decoder has already turned into RGB.

    Attributes:
        rgb: uint8 ``h w 3``.
    """

    rgb: NDArray[np.uint8]

    @property
    def height(self) -> int:
        """In px."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """In px."""
        return int(self.rgb.shape[1])

    def region(self, box: Box) -> NDArray[np.uint8]:
        """As ``Picture.region``."""
        return self.rgb[box.top : box.top + box.height, box.left : box.left + box.width]

    def gather(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.uint8]:
        """As ``Picture.gather``."""
        return self.rgb[rows, columns]

    def squares(self, corners: Sequence[tuple[int, int]], side: int) -> NDArray[np.uint8]:
        """As ``Picture.squares``."""
        return np.stack([self.rgb[top : top + side, left : left + side] for top, left in corners])

    def whole(self, num_pixels: int) -> NDArray[np.uint8]:
        """As ``Picture.whole``."""
        return self.rgb

    def turned(self, quarters: int, is_mirrored: bool = False) -> "Picture":
        """As ``PlanarPicture.turned``."""
        return RgbPicture(_turn(self.rgb, quarters, is_mirrored))

    def cropped(self, box: Box) -> "Picture":
        """As ``PlanarPicture.cropped``."""
        return RgbPicture(self.region(box))
