"""PyAV: FFmpeg as shipped in PyAV's own wheel. Decodes everything, honours edit lists and rotation, stops at damage.

Frames are counted by demuxing where one packet is one shown frame (H.264, HEVC, VP9, AV1 and the intra codecs in MP4 or
Matroska; packets that an edit list hides are not counted), else by decoding. ``stream.frames`` is never believed: it is
0 in WebM and counts hidden frames in MP4. The decoder is told to stop at damage rather than conceal it. A still image
(PNG, JPEG, BMP, told by its first bytes) is a video of one frame without a rate.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
import av.logging
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.video.colour import Colour, planes_to_rgb, untagged
from pipeline.video.decoder import DecodeError, DecodeOptions, VideoInfo, check_file, check_indices, check_size
from pipeline.video.decoders.shared.counting import DAMAGE, count, say
from pipeline.video.decoders.shared.h264 import FrameNumbers
from pipeline.video.pictures import PlanarPicture, RgbPicture

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,obu,ivf,flv,asf,nut,yuv4mpegpipe,"
    "mxf,gif,dv,ogg,rm,wtv,m4v,mjpeg"
)
_STILLS = {b"\x89PNG\r\n\x1a\n": "png_pipe", b"\xff\xd8\xff": "jpeg_pipe", b"BM": "bmp_pipe"}
_MATRICES = {1: "bt709", 2: "untagged", 3: "untagged", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_NUMBERS = {"bt709": 1, "fcc": 4, "bt601": 5, "smpte240m": 7, "bt2020": 9}
_RANGES = {0: "untagged", 1: "limited", 2: "full"}
_TRIAL_ROWS = 16


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
        info = video.info
        if info.num_frames == 1:
            return info
        container, stream = _open(path, options)
        with container:
            end = (stream.start_time or 0) + stream.duration if stream.duration else container.duration
            try:
                container.seek(end or 0, stream=stream if stream.duration else None, backward=True)
            except (*DAMAGE, OSError):
                # No index to jump by: the last frame is reached through all others.
                list(video.frames([info.num_frames - 1]))
                return info
            if not any(True for _ in _decode(container, stream)):
                list(video.frames([info.num_frames - 1]))
    return info


class PyavVideo:
    """A video read by PyAV; see ``OpenVideo``."""

    def __init__(self, path: Path, options: DecodeOptions) -> None:
        check_file(path)
        self._path, self._options = path, options
        self._container: InputContainer | None = None
        self._decoded: Iterator[VideoFrame] = iter(())
        container, stream = _open(path, options)
        with container:
            check_size(stream.width, stream.height, options)
            counted = count(container, stream, options, partial(_decode, container, stream))
            still = container.format.name in _STILLS.values()
            fps = None if still else _rate(stream)
            seconds = container.duration / av.time_base if container.duration and not still else None
        self._start()
        try:
            first = next(self._decoded, None)
            if first is None:
                raise DecodeError("the video has no frame that can be decoded")
            self._decoded = chain([first], self._decoded)
            self._stored_size = (first.width, first.height)
            self._quarters = _quarter_turns(first)
            height, width = first.height, first.width
            if self._quarters % 2:
                height, width = width, height
            matrix, span = _tags(first)
            self._colour = Colour(
                matrix=untagged(height) if matrix == "untagged" else matrix, full_range=span == "full"
            )
            self.info = VideoInfo(
                width=width,
                height=height,
                fps=fps,
                num_frames=counted.shown,
                pix_fmt=first.format.name,
                rotation=90 * self._quarters,
                codec=stream.codec_context.name,
                container=container.format.name,
                seconds=seconds,
                decoder=version(),
                edited=counted.edited,
                open_groups=counted.open_groups,
                untimed=counted.untimed,
                tags=(matrix, span),
            )
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self.close()
        self._container, stream = _open(self._path, self._options)
        self._decoded = _decode(self._container, stream)
        self._next = 0

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, PlanarPicture | RgbPicture]]:
        """As ``OpenVideo.frames``."""
        check_indices(indices, self.info.num_frames)
        if self._container is None or (indices and indices[0] < self._next):
            self._start()
        for index in indices:
            yield index, self._picture(self._read_until(index), index)

    def _read_until(self, index: int) -> VideoFrame:
        for frame in self._decoded:
            self._next += 1
            if frame.is_corrupt:
                raise DecodeError(f"frame {self._next - 1} is damaged")
            if (frame.width, frame.height) != self._stored_size:
                raise DecodeError(
                    f"the frame size changes from {self._stored_size[0]}x{self._stored_size[1]} "
                    f"to {frame.width}x{frame.height} px at frame {self._next - 1}"
                )
            if self._next - 1 == index:
                return frame
        raise DecodeError(
            f"the video ends after {self._next} of {self.info.num_frames} frames; frame {index} is missing"
        )

    def _picture(self, frame: VideoFrame, index: int) -> PlanarPicture | RgbPicture:
        matrix, span = _tags(frame)
        if (matrix, span) != self.info.tags or frame.format.name != self.info.pix_fmt:
            raise DecodeError(f"pixel format or colour change at frame {index}")
        picture = _picture(frame, self._colour)
        return picture.turned(self._quarters) if self._quarters else picture

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


def _open(path: Path, options: DecodeOptions) -> tuple[InputContainer, VideoStream]:
    """Opens local files of the known video containers only: no playlist, no network."""
    still = _still_format(path)
    limits = {"protocol_whitelist": "file", "format_whitelist": still or _FORMATS, "err_detect": "explode"}
    limits["max_pixels"] = str(options.max_frame_pixels)
    try:
        container = av.open(f"file:{path}", format=still, options=limits, metadata_errors="replace")
    except (*DAMAGE, OSError) as error:
        raise DecodeError(f"not a readable video: {say(error)}") from None
    shown = [stream for stream in container.streams.video if not _is_attached(stream)]
    if not shown:
        container.close()
        raise DecodeError("the file has no video stream")
    stream = shown[0]
    context = stream.codec_context
    if context is None:
        container.close()
        raise DecodeError("no decoder for this video stream is installed")
    context.options = {"err_detect": "explode", "max_pixels": str(options.max_frame_pixels)}
    context.thread_count = options.threads
    context.thread_type = "NONE" if options.threads == 1 else "FRAME"
    return container, stream


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


def _is_attached(stream: Any) -> bool:
    """Whether a stream is a cover picture rather than a video."""
    disposition = int(stream.disposition)
    return bool(disposition & int(av.stream.Disposition.attached_pic))


def _rate(stream: VideoStream) -> float | None:
    rate = stream.average_rate
    return float(Fraction(rate)) if rate else None


def _decode(
    container: InputContainer, stream: VideoStream, numbers: FrameNumbers | None = None
) -> Iterator[VideoFrame]:
    try:
        for packet in container.demux(stream):
            if numbers is not None:
                numbers.check(packet)
            for frame in packet.decode():
                if isinstance(frame, VideoFrame):
                    yield frame
    except DAMAGE as error:
        raise DecodeError(f"the video is damaged: {say(error)}") from None


def _quarter_turns(frame: VideoFrame) -> int:
    """Clockwise quarter turns from stored to shown; FFmpeg counts degrees the other way round."""
    degrees = -frame.rotation % 360
    if degrees % 90:
        raise DecodeError(f"the video is to be shown rotated by {degrees} degrees; only multiples of 90 are supported")
    return degrees // 90


def _tags(frame: VideoFrame) -> tuple[str, str]:
    matrix, name = int(frame.colorspace), frame.format.name
    span = "full" if name.startswith("yuvj") else _RANGES.get(int(frame.color_range), "untagged")
    if matrix in _MATRICES:
        return _MATRICES[matrix], span
    if matrix == 0 and not frame.format.is_rgb:
        return "untagged", span
    if frame.format.is_rgb:
        return "untagged", "full"
    raise DecodeError(
        f"colour matrix number {matrix} (ITU-T H.273) is not supported; it is none of bt709, bt601, bt2020"
    )


def _planes(frame: VideoFrame) -> list[NDArray[Any]]:
    wide = frame.format.components[0].bits > 8
    arrays = []
    for plane in frame.planes:
        samples = np.frombuffer(memoryview(plane), np.dtype("<u2" if wide else "u1"))
        stride = plane.line_size // (2 if wide else 1)
        arrays.append(samples.reshape(plane.height, stride)[:, : plane.width])
    return arrays


def _picture(frame: VideoFrame, colour: Colour) -> PlanarPicture | RgbPicture:
    """Planar YUV and grey as they are; anything else through FFmpeg's own conversion of the whole frame."""
    layout = frame.format
    names = layout.name.removesuffix("le")
    planar = (names.startswith(("yuv4", "yuvj4")) and len(frame.planes) == 3) or names.startswith("gray")
    if not planar or layout.is_big_endian or layout.components[0].bits > 16 or names.startswith("grayf"):
        return RgbPicture(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    planes = _planes(frame)
    plain = layout.name in ("yuv420p", "yuvj420p") and frame.width % 2 == frame.height % 2 == 0
    convert = partial(_convert, frame, colour) if plain and _converts_alike(frame.width, colour) else None
    depth = layout.components[0].bits
    u, v = (planes[1], planes[2]) if len(planes) == 3 else (None, None)
    shifts = (0, 0) if u is None else _subsampling(frame)
    return PlanarPicture(y=planes[0], u=u, v=v, subsampling=shifts, depth=depth, colour=colour, convert=convert)


def _convert(frame: VideoFrame, colour: Colour) -> NDArray[np.uint8]:
    """FFmpeg's conversion of a whole 8-bit 4:2:0 frame, told the matrix and range."""
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


def _subsampling(frame: VideoFrame) -> tuple[int, int]:
    """Shifts of rows and columns from luma to chroma, asked for at a size that divides evenly."""
    layout = frame.format
    return (64 // layout.chroma_height(64)).bit_length() - 1, (64 // layout.chroma_width(64)).bit_length() - 1
