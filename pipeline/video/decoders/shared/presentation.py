"""What a container says of how its video is shown: which stream, cropped how, turned how, in what colour and shape.

The stream: no cover, thumbnail or still picture; of several the one that the container marks as default, then the one
with the most pixels, then the first. FFmpeg's command line chooses likewise.

PyAV hands on neither a container's cropping nor its picture grids; both are read from FFmpeg's own summary of the file.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av.logging
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.video.decoder import DecodeError
from pipeline.video.decoders.shared.packets import Plan
from pipeline.video.pictures import Box

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
_HDR = {16: "PQ", 18: "HLG"}
_BT2020 = 9
_MATRICES = {1: "bt709", 2: "untagged", 3: "untagged", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_RANGES = {0: "untagged", 1: "limited", 2: "full"}


def candidates(container: InputContainer) -> list[VideoStream]:
    """The streams that may be the video.

    Raises:
        DecodeError: there is none, or the picture is put together from several.
    """
    if grid := re.search(r"Tile Grid: .*? (\d+x\d+) ", summary(container)):
        raise DecodeError(
            f"the picture of {grid[1]} px is a grid of {len(container.streams.video)} tiles, which is not supported; "
            "convert it to one picture, such as a PNG"
        )
    streams = [one for one in container.streams.video if not Disposition(int(one.disposition)) & _NO_VIDEO]
    if not streams:
        raise DecodeError("the file has no video stream")
    if not any(one.codec_context for one in streams):
        raise DecodeError("no decoder for this video stream is installed")
    return [one for one in streams if one.codec_context]


def choose(streams: Sequence[VideoStream], plans: Sequence[Plan]) -> tuple[VideoStream, Plan]:
    """The stream that is the video."""

    def rank(pair: tuple[VideoStream, Plan]) -> tuple[bool, bool, int]:
        stream, plan = pair
        is_default = bool(Disposition(int(stream.disposition)) & Disposition.default)
        return plan.num_packets > 1, is_default, stream.width * stream.height

    return max(zip(streams, plans, strict=True), key=rank)


def summary(container: Any) -> str:
    """FFmpeg's description of a file, as its command line prints it."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        return str(container.dumps_format())
    finally:
        av.logging.set_level(before)


def cropping(container: InputContainer, stream: VideoStream) -> tuple[int, int, int, int]:
    """What the container cuts off the stored picture on the left, right, top and bottom, in px."""
    parts = re.split(r"(?m)^  Stream #\d+:(\d+)", summary(container))
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    found = re.search(r"Frame [Cc]ropping: (\d+)/(\d+)/(\d+)/(\d+)", texts.get(str(stream.index), ""))
    left, right, top, bottom = (int(number) for number in found.groups()) if found else (0, 0, 0, 0)
    return left, right, top, bottom


def crop_box(cut: tuple[int, int, int, int], frame: VideoFrame) -> Box | None:
    """What is left of a stored picture; None where nothing is cut off.

    Raises:
        DecodeError: nothing is left.
    """
    left, right, top, bottom = cut
    box = Box(top, left, frame.height - top - bottom, frame.width - left - right)
    if min(box.height, box.width) < 1:
        raise DecodeError(f"the container crops {left}/{right}/{top}/{bottom} px of {frame.width}x{frame.height}")
    return box if any(cut) else None


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """How a stored picture is shown: mirrored left to right or not, then turned by clockwise quarters.

    Returns:
        The quarters, and whether it is mirrored.

    Raises:
        DecodeError: it is turned by something else, or sheared.
    """
    side_data: Any = frame.side_data
    matrix = next((bytes(one) for one in side_data if one.type == SideData.DISPLAYMATRIX), None)
    if matrix is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    is_mirrored = a * d - b * c < 0
    if is_mirrored:
        a, b = -a, -b
    degrees = float(np.degrees(np.arctan2(b, a)))
    quarters = round(degrees / 90)
    if not (a or b) or abs(degrees - 90 * quarters) > 1:
        raise DecodeError(
            f"the video is to be shown turned by {degrees:.0f} degrees; only multiples of 90 are supported"
        )
    return quarters % 4, is_mirrored


def tags(frame: VideoFrame) -> tuple[str, str]:
    """The colour as a frame names it: matrix, then range.

    Raises:
        DecodeError: the matrix is not supported.
    """
    matrix, name = int(frame.colorspace), frame.format.name
    span = "full" if name.startswith("yuvj") else _RANGES.get(int(frame.color_range), "untagged")
    if frame.format.is_rgb:
        return "untagged", "full"
    if matrix in _MATRICES or matrix == 0:
        return _MATRICES.get(matrix, "untagged"), span
    raise DecodeError(
        f"colour matrix number {matrix} (ITU-T H.273) is not supported; it is none of bt709, bt601, bt2020"
    )


def hdr(frame: VideoFrame) -> str | None:
    """The high dynamic range or wide gamut that a frame is made for, by the field's name; None for ordinary video."""
    wide = "BT.2020" if _BT2020 in (int(frame.color_primaries), int(frame.colorspace)) else None
    return _HDR.get(int(frame.color_trc), wide)


def shape(stream: VideoStream) -> Fraction | None:
    """Width over height of a pixel as shown; None where it is square or not said."""
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(ratio) if ratio and ratio != 1 else None
