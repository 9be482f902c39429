"""The samples of a decoded frame as a picture, whatever they are stored as: one colour rule for all of them.

Packed, semi-planar and big-endian samples are first laid out in planes of the same subsampling and depth, which changes
none of them, and alpha is left out. RGB is taken as it is, with more than 8 bits rounded to 8.
"""

from functools import lru_cache, partial
from typing import Any

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.video.colour import Colour, planes_to_rgb
from pipeline.video.decoder import DecodeError
from pipeline.video.pictures import Picture, PlanarPicture, RgbPicture

_NUMBERS = {"bt709": 1, "fcc": 4, "bt601": 5, "smpte240m": 7, "bt2020": 9}
_SUBSAMPLINGS = {(0, 0): "444", (0, 1): "422", (1, 1): "420", (1, 0): "440", (0, 2): "411", (2, 2): "410"}
_TRIAL_ROWS = 16


def picture(frame: VideoFrame, colour: Colour) -> Picture:
    """A frame as a picture.

    Args:
        frame: as decoded.
        colour: matrix and range.

    Raises:
        DecodeError: the frame's pixel format is not supported.
    """
    layout, depth = frame.format, frame.format.components[0].bits
    if layout.is_rgb or layout.has_palette:
        return RgbPicture(_rgb(frame, depth))
    planar = _planar(layout)
    try:
        laid_out = frame if planar == layout.name.replace("yuvj", "yuv") else frame.reformat(format=planar)
    except (OSError, ValueError):
        raise DecodeError(f"the pixel format {layout.name} is not supported; convert the video first") from None
    plain = planar == "yuv420p" and frame.width % 2 == frame.height % 2 == 0
    fast = partial(_convert, laid_out, colour) if plain and _converts_alike(frame.width, colour) else None
    planes = _planes(laid_out, depth)
    u, v = (planes[1], planes[2]) if len(planes) > 1 else (None, None)
    shifts = (0, 0) if u is None else _shifts(layout)
    return PlanarPicture(y=planes[0], u=u, v=v, subsampling=shifts, depth=depth, colour=colour, convert=fast)


def _planar(layout: VideoFormat) -> str:
    """The planar format of the same samples, without alpha."""
    depth = layout.components[0].bits
    suffix = "" if depth == 8 else f"{depth}le"
    if not any(component.is_chroma for component in layout.components):
        return f"gray{suffix}"
    return f"yuv{_SUBSAMPLINGS.get(_shifts(layout), '444')}p{suffix}"


def _rgb(frame: VideoFrame, depth: int) -> NDArray[np.uint8]:
    if depth <= 8:
        return np.asarray(frame.to_ndarray(format="rgb24", threads=1), np.uint8)
    wide = np.asarray(frame.to_ndarray(format="rgb48le", threads=1), np.uint32)
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def _planes(frame: VideoFrame, depth: int) -> list[NDArray[Any]]:
    arrays = []
    for plane in frame.planes:
        samples = np.frombuffer(memoryview(plane), np.dtype("<u2" if depth > 8 else "u1"))
        stride = plane.line_size // samples.itemsize
        arrays.append(samples.reshape(plane.height, stride)[:, : plane.width])
    return arrays


def _convert(frame: VideoFrame, colour: Colour) -> NDArray[np.uint8]:
    """FFmpeg's conversion of a whole 8-bit 4:2:0 frame with this matrix and range."""
    converted = frame.to_ndarray(
        format="rgb24",
        src_colorspace=_NUMBERS[colour.matrix],
        src_color_range=2 if colour.full_range else 1,
        threads=1,
    )
    return np.asarray(converted, np.uint8)


@lru_cache
def _converts_alike(width: int, colour: Colour) -> bool:
    """Whether FFmpeg, on this machine, converts 8-bit 4:2:0 to the very bytes of ``colour.py``; tried on noise.

    It does on x86-64, whose instructions round as the colour rule says.

    Args:
        width: of the frames, in px, even; the last few pixels of a row may be converted by other instructions.
        colour: matrix and range.
    """
    rows = _TRIAL_ROWS
    noise = np.random.Generator(np.random.Philox(key=width)).integers(0, 256, (rows * 3 // 2, width), np.uint8)
    y, u, v = np.split(noise.reshape(-1), [rows * width, rows * width * 5 // 4])
    chroma = (rows // 2, width // 2)
    planes = (y.reshape(rows, width), u.reshape(chroma), v.reshape(chroma))
    mine = planes_to_rgb(*planes, subsampling=(1, 1), origin=(0, 0), depth=8, colour=colour)
    return np.array_equal(mine, _convert(VideoFrame.from_ndarray(noise, format="yuv420p"), colour))


@lru_cache
def _shifts_of(name: str) -> tuple[int, int]:
    layout = VideoFormat(name, 64, 64)
    return (64 // layout.chroma_height(64)).bit_length() - 1, (64 // layout.chroma_width(64)).bit_length() - 1


def _shifts(layout: VideoFormat) -> tuple[int, int]:
    """Shifts of rows and columns from luma to chroma, asked for at a size that divides evenly."""
    return _shifts_of(layout.name)
