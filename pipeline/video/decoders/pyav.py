"""PyAV: FFmpeg as shipped in PyAV's own wheel. Reads forward, knows each frame by its time, refuses what is damaged.

Which frames there are is read from the packets (``shared/packets.py``), without hidden ones; every decoded picture must
be the next of them. A picture that is missing, or that FFmpeg marks as corrupt, is damage where it is shown;
complaints that change no shown picture (a bad SEI message, references of hidden frames) are not. ``stream.frames`` and
key-frame flags are never believed. A still image (PNG, JPEG, BMP, known by its first bytes) is a video of one frame
without a rate.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.video.colour import Colour, untagged
from pipeline.video.decoder import DecodeError, DecodeOptions, VideoInfo, check_file, check_indices, check_size
from pipeline.video.decoders.shared import presentation
from pipeline.video.decoders.shared.packets import DAMAGE, Plan, logged, read_packets, say
from pipeline.video.decoders.shared.samples import picture
from pipeline.video.pictures import Picture

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,obu,ivf,flv,asf,nut,yuv4mpegpipe,"
    "mxf,gif,dv,ogg,rm,wtv,m4v,mjpeg"
)
_STILLS = {b"\x89PNG\r\n\x1a\n": "png_pipe", b"\xff\xd8\xff": "jpeg_pipe", b"BM": "bmp_pipe"}
_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
_RATE_ERROR = 0.02
_UNEVEN = 0.2
_LACKS_REFERENCE = re.compile(r"reference picture|find ref|RPS|co located|reference count|missing reference", re.I)


def available() -> bool:
    """Always: PyAV is a dependency."""
    return True


def version() -> str:
    """Name and version, for the record."""
    return f"pyav {av.__version__} (lavc {'.'.join(map(str, av.library_versions['libavcodec']))})"


def open(path: Path, *, options: DecodeOptions) -> "PyavVideo":
    """Opens a video.

    Raises:
        DecodeError: it is not one, or is damaged.
    """
    return PyavVideo(path, options)


def check_ends(path: Path, *, options: DecodeOptions) -> VideoInfo:
    """Decodes the first frame, and from the last key frame to the end.

    Raises:
        DecodeError: the file is not a video, or is damaged there.
    """
    with PyavVideo(path, options) as video:
        list(video.frames([0]))
        if not video.ends_well():
            list(video.frames([video.info.num_frames - 1]))
        return video.info


@dataclass(frozen=True)
class _Header:
    """What the container says of the chosen stream."""

    stream: int
    notes: tuple[str, ...]
    rate: Fraction | None
    time_base: Fraction
    seconds: float | None
    cut: tuple[int, int, int, int]
    container: str
    codec: str
    is_interlaced: bool


class PyavVideo:
    """A video read by PyAV; see ``OpenVideo``."""

    def __init__(self, path: Path, options: DecodeOptions) -> None:
        check_file(path)
        self._path, self._options = path, options
        self._container: InputContainer | None = None
        self._decoded: Iterator[VideoFrame]
        container = _open_container(path, options)
        try:
            self._header, plan = _read_header(container, options)
            self._start(container, plan)
            first = next(self._decoded, None)
            if first is None:
                raise DecodeError(f"the video has no frame that can be decoded{self._words(None)}")
            self._decoded = chain([first], self._decoded)
            self._times = self._shown(plan, first)
            self.info = self._describe(first, plan)
        except BaseException:
            container.close()
            self.close()
            raise

    def _start(self, container: InputContainer | None = None, plan: Plan | None = None) -> None:
        """Begins to decode from the first packet, in a container that was read where it can be taken back."""
        self.close()
        packets = None if container is None or plan is None else _again(container, self._header.stream, plan)
        if container is None or packets is None:
            container = _open_container(self._path, self._options)
            packets = container.demux(_stream(container, self._header.stream))
        self._container = container
        _prepare(_stream(container, self._header.stream), self._options)
        self._errors: list[str] = []
        self._decoded = _decode(packets, self._errors)
        self._next = 0

    def _shown(self, plan: Plan, first: VideoFrame) -> Sequence[int | None]:
        """The time of each frame; all None where frames are only known by their order.

        What comes before the first frame that decoding can begin with is not shown by any player.
        """
        if plan.times is None:
            if plan.gaps:
                raise DecodeError("pictures are missing in the middle: the numbers of the stored pictures jump")
            found = [frame.pts for frame in self._all()]
            self._start()
            known = [time for time in found if time is not None]
            in_order = len(known) == len(found) and all(a < b for a, b in pairwise(known))
            return found if in_order else [None] * len(found)
        if first.pts is None:
            raise DecodeError("the first picture that is decoded has no time, though its packet has one")
        begin = bisect_left(plan.times, first.pts)
        times = plan.times[begin:]
        if begin and self._errors:
            raise DecodeError(f"frame 0 is damaged{self._words(plan.first_key)}")
        if not times or times[0] != first.pts:
            raise DecodeError("the first picture that is decoded belongs to no packet of the file")
        for time in plan.gaps:
            if time is None or time >= times[0]:
                at = bisect_left(times, time) if time is not None else "?"
                raise DecodeError(f"pictures are missing before frame {at}: the numbers of the stored pictures jump")
        return times

    def _all(self) -> Iterator[VideoFrame]:
        """Every picture, where nothing but decoding tells how many there are."""
        for number, frame in enumerate(self._decoded):
            if number >= self._options.max_frames:
                raise DecodeError(f"the video has more than {self._options.max_frames} frames")
            if self._errors or frame.is_corrupt:
                break
            yield frame
        else:
            number = -1
        if self._errors or number >= 0:
            raise DecodeError(f"frame {max(number, 0)} is damaged{self._words(None)}")

    def _describe(self, first: VideoFrame, plan: Plan) -> VideoInfo:
        header = self._header
        self._stored = (first.width, first.height, first.format.name, presentation.tags(first))
        self._box = presentation.crop_box(header.cut, first)
        self._turn = presentation.orientation(first)
        shown = self._box or (0, 0, first.height, first.width)
        height, width = (shown[3], shown[2]) if self._turn[0] % 2 else (shown[2], shown[3])
        matrix, span = self._stored[3]
        self._colour = Colour(matrix=untagged(height) if matrix == "untagged" else matrix, full_range=span == "full")
        is_still = header.container in _STILLS.values()
        seconds = None if None in self._times else np.array(self._times, np.float64) * float(header.time_base)
        fps, is_variable = _rate(seconds, header)
        hdr = presentation.hdr(first)
        if hdr and self._options.refuse_hdr:
            raise DecodeError(f"the video is HDR ({hdr}), which the settings refuse; convert it to SDR first")
        facts = {
            "interlaced": header.is_interlaced or first.interlaced_frame or plan.fields,
            "variable rate": is_variable,
            f"HDR ({hdr}), shown without tone mapping": hdr,
        }
        length = seconds[-1] - seconds[0] + 1 / fps if seconds is not None and fps else header.seconds
        return VideoInfo(
            width=width,
            height=height,
            fps=None if is_still else fps,
            num_frames=len(self._times),
            pix_fmt=first.format.name,
            rotation=90 * self._turn[0],
            is_mirrored=self._turn[1],
            codec=header.codec,
            container=header.container,
            seconds=None if is_still else length,
            times=seconds - seconds[0] if seconds is not None and is_variable else None,
            decoder=version(),
            notes=(*header.notes, *(name for name, applies in facts.items() if applies)),
            tags=(matrix, span),
        )

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, Picture]]:
        """As ``OpenVideo.frames``."""
        check_indices(indices, self.info.num_frames)
        if self._container is None or (indices and indices[0] < self._next):
            self._start()
        for index in indices:
            yield index, self._picture(self._read_until(index))

    def _read_until(self, index: int) -> VideoFrame:
        for frame in self._decoded:
            time, expected = frame.pts, self._times[self._next]
            if expected is None or time is None:
                is_bad = bool(self._errors)
            elif time < (self._times[0] or 0):
                continue
            elif time < expected:
                raise DecodeError(f"the picture after frame {self._next - 1} belongs to no packet of the file")
            else:
                is_bad = time > expected
            if is_bad or frame.is_corrupt:
                raise self._damage()
            if (frame.width, frame.height) != self._stored[:2]:
                raise DecodeError(
                    f"the frame size changes from {self._stored[0]}x{self._stored[1]} "
                    f"to {frame.width}x{frame.height} px at frame {self._next}"
                )
            self._next += 1
            if self._next - 1 == index:
                return frame
        raise self._damage()

    def _picture(self, frame: VideoFrame) -> Picture:
        if (frame.format.name, presentation.tags(frame)) != self._stored[2:]:
            raise DecodeError(f"pixel format or colour change at frame {self._next - 1}")
        shown = picture(frame, self._colour)
        if self._box is not None:
            shown = shown.cropped(self._box)
        return shown.turned(*self._turn) if any(self._turn) else shown

    def _damage(self) -> DecodeError:
        """Why the next frame cannot be had."""
        return DecodeError(f"frame {self._next} is damaged{self._words(self._times[self._next])}")

    def _words(self, time: int | None) -> str:
        """What is wrong with the picture of a packet, as the decoder says when it decodes in one thread.

        Args:
            time: of the packet; None for the first trouble of the file.
        """
        found = words = ""
        with _open_container(self._path, self._options) as container:
            stream = _prepare(_stream(container, self._header.stream), DecodeOptions())
            for packet in container.demux(stream):
                with logged() as messages:
                    try:
                        is_bad = any(frame.is_corrupt for frame in packet.decode())
                    except DAMAGE as error:
                        is_bad, words = True, say(error)
                texts = [text.strip() for _, _, text in messages]
                if any(_LACKS_REFERENCE.search(text) for text in texts):
                    found = "it lacks a reference picture that is not in the file"
                elif is_bad or (texts and packet.pts == time):
                    found = found or (f"the decoder reports “{texts[0].rstrip('.')}”" if texts else words)
                if found and (time is None or (packet.dts is not None and packet.dts > time)):
                    break
        return f": {found}" if found else ""

    @property
    def last_seconds(self) -> float:
        """Time of the last frame as stored; 0 where it has none."""
        return float((self._times[-1] or 0) * self._header.time_base)

    def ends_well(self) -> bool:
        """Whether the last frame can be decoded from the last key frame on; False where only reading on will tell."""
        last = self._times[-1]
        if last is None:
            return False
        with _open_container(self._path, self._options) as container:
            stream = _prepare(_stream(container, self._header.stream), self._options)
            try:
                container.seek(last, stream=stream, backward=True)
                found = [frame for frame in _decode(container.demux(stream), []) if frame.pts == last]
            except (*DAMAGE, OSError, DecodeError):
                return False
        return [(frame.width, frame.height, frame.is_corrupt) for frame in found] == [(*self._stored[:2], False)]

    def close(self) -> None:
        """Releases the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_header(container: InputContainer, options: DecodeOptions) -> tuple[_Header, Plan]:
    streams = presentation.candidates(container)
    if len(streams) == 1 and streams[0].width:
        check_size(streams[0].width, streams[0].height, options)
    stream, plan = presentation.choose(streams, read_packets(container, streams, options.max_frames))
    if plan.num_packets == 0 or plan.times == []:
        raise DecodeError("the video has no frames")
    shape, count = presentation.shape(stream), len(container.streams.video)
    notes = [f"stream {stream.index}, one of {count} video streams"] if count > 1 else []
    notes += [f"pixels of {shape.numerator}:{shape.denominator}"] if shape else []
    return _Header(
        stream=stream.index,
        notes=tuple(notes),
        rate=stream.average_rate,
        time_base=stream.time_base or Fraction(1, av.time_base),
        seconds=container.duration / av.time_base if container.duration else None,
        cut=presentation.cropping(container, stream),
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        is_interlaced=stream.codec_context.field_order > 1,
    ), plan


def _open_container(path: Path, options: DecodeOptions) -> InputContainer:
    """Opens local files of the known video containers only: no playlist, no network."""
    still = _still_format(path)
    limits = {"protocol_whitelist": "file", "format_whitelist": still or _FORMATS}
    limits["max_pixels"] = str(options.max_frame_pixels)
    try:
        return av.open(f"file:{path}", format=still, options=limits, metadata_errors="replace")
    except (*DAMAGE, OSError) as error:
        raise DecodeError(f"not a readable video: {say(error)}") from None


def _stream(container: InputContainer, index: int) -> VideoStream:
    return next(one for one in container.streams.video if one.index == index)


def _prepare(stream: VideoStream, options: DecodeOptions) -> VideoStream:
    context = stream.codec_context
    # Where frames stand alone a complaint is about a shown frame; elsewhere FFmpeg marks the frames that are corrupt.
    err_detect = "explode" if context.codec.intra_only else "crccheck"
    context.options = {"err_detect": err_detect, "max_pixels": str(options.max_frame_pixels)}
    context.thread_count = options.threads
    context.thread_type = "NONE" if options.threads == 1 else "FRAME"
    return stream


def _again(container: InputContainer, index: int, plan: Plan) -> Iterator[Packet] | None:
    """The packets of a container that was read, from the first on; None where it does not go back to just that one."""
    if container.format.name not in _INDEXED or plan.first is None:
        return None
    stream = _stream(container, index)
    try:
        container.seek(plan.first[1], stream=stream, backward=True)
        packets = container.demux(stream)
        packet = next(packets)
    except (*DAMAGE, OSError, StopIteration):
        return None
    is_first = (packet.pts, packet.dts, packet.size, packet.pos) == plan.first
    return chain([packet], packets) if is_first else None


def _still_format(path: Path) -> str | None:
    """FFmpeg's name of a still image's format, None for anything else; never a pattern of several files."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise DecodeError(f"cannot read the file: {error.strerror}") from None
    name = next((name for signature, name in _STILLS.items() if head.startswith(signature)), None)
    is_stream = path.suffix.lower() in (".mjpeg", ".mjpg") or (name == "bmp_pipe" and head[6:8] != b"\0\0")
    return None if is_stream else name


def _decode(packets: Iterator[Packet], errors: list[str]) -> Iterator[VideoFrame]:
    """Every picture that comes; what is wrong with a packet is added to ``errors``, from the first key frame on."""
    is_begun = False
    try:
        for packet in packets:
            if packet.is_keyframe and not is_begun:
                is_begun = True
                errors.clear()
            try:
                yield from packet.decode()
            except DAMAGE as error:
                if not packet.is_discard:
                    errors.append(say(error))
    except DAMAGE as error:
        raise DecodeError(f"the container is damaged: {say(error)}") from None


def _rate(seconds: NDArray[np.float64] | None, header: _Header) -> tuple[float | None, bool]:
    """Frames per second, by the frames' times where the header tells none or another; and whether it varies."""
    told = float(header.rate) if header.rate else None
    if seconds is None or len(seconds) < 2:
        return told, False
    steps, tick = np.diff(seconds), float(header.time_base)
    middle, span = float(np.median(steps)), float(seconds[-1] - seconds[0])
    is_variable = bool(np.any(np.abs(steps - middle) > _UNEVEN * middle + 1.5 * tick))
    found = (len(seconds) - 1) / span
    is_right = told is not None and abs((len(seconds) - 1) / told - span) <= _RATE_ERROR * span + tick
    return told if is_right else found, is_variable
