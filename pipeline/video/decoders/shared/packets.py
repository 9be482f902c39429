"""Which frames a video shows, and when, read from its packets where the codec says what each of them shows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import av.error
import av.logging
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.video.decoder import DecodeError
from pipeline.video.decoders.shared.headers import Shown, reader

DAMAGE = (av.error.FFmpegError, ValueError, EOFError)
"""What PyAV raises at a file that is damaged."""
_LEAST_CERTAIN = 2


@dataclass
class Plan:
    """The pictures of one stream, as its packets have them.

    Attributes:
        times: of each, in ticks of the stream, ascending; None where only decoding tells.
        num_packets: in the file, hidden ones among them.
        fields: whether some are stored as two fields.
        gaps: of H.264, the times of pictures before which others are missing.
        first_key: time of the first key frame; None where there is none.
        first: times, size and place of the first packet; None where it has no time of storing.
    """

    times: list[int] | None
    num_packets: int = 0
    fields: bool = False
    gaps: list[int | None] = field(default_factory=list)
    first_key: int | None = None
    first: tuple[int | None, int, int, int | None] | None = None


class _Reading:
    """Follows the packets of one stream."""

    def __init__(self, stream: VideoStream) -> None:
        codec = stream.codec_context.codec
        self._read = reader(codec.canonical_name, stream.codec_context.extradata)
        if self._read is None and codec.intra_only:
            self._read = lambda packet: Shown(1)
        self.plan = Plan([] if self._read else None)

    def note(self, packet: Any) -> None:
        plan = self.plan
        if plan.num_packets == 0 and packet.dts is not None:
            plan.first = (packet.pts, packet.dts, packet.size, packet.pos)
        plan.num_packets += 1
        shown = self._read(packet) if self._read else Shown(1)
        plan.fields |= shown.field
        if packet.is_keyframe and plan.first_key is None:
            plan.first_key = packet.pts
        if packet.is_discard or not shown.pictures:
            return
        if shown.gap:
            plan.gaps.append(packet.pts)
        if shown.pictures > 1 or packet.pts is None:
            plan.times = None
        elif plan.times is not None:
            plan.times.append(packet.pts)


def read_packets(container: InputContainer, streams: Sequence[VideoStream], most: int) -> list[Plan]:
    """Reads every packet of the streams.

    Args:
        container: fresh; it is read to its end.
        streams: of the container.
        most: packets of one stream.

    Raises:
        DecodeError: the container is damaged, or has more packets.
    """
    readings = {stream.index: _Reading(stream) for stream in streams}
    with _complaints(container) as complaints:
        try:
            for packet in container.demux(*streams):
                if packet.size == 0:
                    continue
                plan = readings[packet.stream_index].plan
                if packet.is_corrupt and container.format.name != "mpegts":
                    raise DecodeError(f"the container is damaged at packet {plan.num_packets}")
                if plan.num_packets >= most:
                    raise DecodeError(f"the video has more than {most} frames")
                readings[packet.stream_index].note(packet)
        except DAMAGE as error:
            known = sum(reading.plan.num_packets for reading in readings.values())
            raise DecodeError(f"the container is damaged after {known} packets: {say(error)}") from None
    if complaints:
        raise DecodeError(f"the container is damaged: {complaints[0]}")
    return [_checked(readings[stream.index].plan, stream) for stream in streams]


def _checked(plan: Plan, stream: VideoStream) -> Plan:
    """Without times where two pictures have one, or where pictures are stored out of order but their times are not.

    Such times, as AVI has them, are those of storing.
    """
    if plan.times is not None:
        is_stored_order = all(earlier < later for earlier, later in pairwise(plan.times))
        plan.times.sort()
        is_twice = any(later == earlier for earlier, later in pairwise(plan.times))
        if is_twice or (is_stored_order and stream.codec_context.has_b_frames and len(plan.times) > 1):
            plan.times = None
    return plan


@contextmanager
def _complaints(container: InputContainer) -> Iterator[list[str]]:
    """Collects what the demuxer logs as an error: a Matroska file cut short says so nowhere else."""
    names = set(container.format.name.split(","))
    found: list[str] = []
    with logged() as messages:
        yield found
    found += [text.strip() for _, source, text in messages if names & set(source.split(","))]


@contextmanager
def logged() -> Iterator[list[tuple[int, str, str]]]:
    """Collects what FFmpeg logs as an error, in whatever thread: level, source, text."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=False) as messages:
            yield messages
    finally:
        av.logging.set_level(before)


def say(error: BaseException) -> str:
    """An error of FFmpeg's in plain words; what it calls invalid data is said as what the reader sees of it."""
    if isinstance(error, av.error.InvalidDataError):
        return "its bytes are none that the format allows"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
