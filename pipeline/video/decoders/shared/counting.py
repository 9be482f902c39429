"""How many frames a video shows, counted from its packets where one packet is one frame, else by decoding."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import av.error
import av.logging
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders.shared.h264 import FrameNumbers

_ONE_PACKET_ONE_FRAME = {"h264", "hevc", "vvc", "vp9", "av1", "mjpeg", "prores", "ffv1", "rawvideo", "dnxhd"}
_COUNTABLE_CONTAINERS = {"mov", "mp4", "matroska", "webm", "ivf"}
DAMAGE = (av.error.FFmpegError, ValueError, EOFError)
"""What PyAV raises at a file that is damaged."""


class Counted(NamedTuple):
    """How many frames are shown; the other fields are those of ``VideoInfo``."""

    shown: int
    edited: bool = False
    open_groups: bool = False
    untimed: bool = False


def count(
    container: InputContainer,
    stream: VideoStream,
    options: DecodeOptions,
    decode: Callable[[FrameNumbers | None], Iterator[VideoFrame]],
) -> Counted:
    """Counts the frames that are shown, and notes what else their packets tell.

    Args:
        container: fresh; it is read to its end.
        stream: of the container.
        options: limits.
        decode: decodes the stream, and tells the frame numbers of each packet.

    Raises:
        DecodeError: the container is damaged, or frames are missing.
    """
    numbers = FrameNumbers(stream.codec_context.extradata) if stream.codec_context.name == "h264" else None
    if stream.codec_context.name not in _ONE_PACKET_ONE_FRAME or not (
        _COUNTABLE_CONTAINERS & set(container.format.name.split(","))
    ):
        return Counted(sum(1 for _ in _limited(decode(numbers), options)))
    shown = hidden = 0
    key_pts, open_groups, untimed = None, False, False
    with _demuxer_complaints() as complaints:
        try:
            for packet in _limited(container.demux(stream), options):
                if packet.size == 0:
                    continue
                if packet.is_corrupt:
                    raise DecodeError(f"the container is damaged at packet {shown + hidden}")
                if numbers is not None:
                    numbers.check(packet)
                hidden += packet.is_discard
                shown += not packet.is_discard
                untimed |= not packet.is_discard and (packet.pts is None or packet.pts < 0)
                if packet.is_keyframe:
                    key_pts = packet.pts
                elif key_pts is not None and packet.pts is not None and packet.pts < key_pts:
                    open_groups = True
        except DAMAGE as error:
            raise DecodeError(f"the container is damaged after {shown} frames: {say(error)}") from None
    names = set(container.format.name.split(","))
    for _, source, message in complaints:
        if names & set(source.split(",")):
            raise DecodeError(f"the container is damaged: {message.strip()}")
    if shown == 0:
        raise DecodeError("the video has no frames")
    return Counted(shown, hidden > 0 or _shortened(container, stream, shown), open_groups, untimed)


def _shortened(container: InputContainer, stream: VideoStream, shown: int) -> bool:
    """Whether an MP4's edit list leaves out frames altogether: its sample table, which knows no edits, has others."""
    return "mov" in container.format.name.split(",") and stream.frames != shown


def _limited(items: Iterator[Any], options: DecodeOptions) -> Iterator[Any]:
    for number, item in enumerate(items):
        if number > options.max_frames:
            raise DecodeError(f"the video has more than {options.max_frames} frames")
        yield item


@contextmanager
def _demuxer_complaints() -> Iterator[list[tuple[int, str, str]]]:
    """Collects what FFmpeg logs as an error: a Matroska file cut short says so nowhere else."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as complaints:
            yield complaints
    finally:
        av.logging.set_level(before)


def say(error: BaseException) -> str:
    """An error of FFmpeg's, in its own words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
