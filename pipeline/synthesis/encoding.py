"""Real codecs through PyAV: one encoder thread, quiet, the same bytes for the same settings."""

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast, get_args

import av
import numpy as np

from pipeline.core.errors import PipelineError, nearest
from pipeline.synthesis.planes import Byte, Video420
from pipeline.synthesis.resampling import resize

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 reads its log level from here, and from nowhere else.

Codec = Literal["h264", "hevc", "vp9", "av1"]
CODECS: tuple[Codec, ...] = get_args(Codec)

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
CONTAINERS = {"h264": "mp4", "hevc": "mp4", "vp9": "webm", "av1": "mkv"}
CRF_RANGES: dict[Codec, tuple[int, int]] = {"h264": (19, 50), "hevc": (19, 50), "vp9": (26, 63), "av1": (28, 63)}
"""From nearly transparent to the worst an encoder gives."""
PRESETS = {
    "h264": ("ultrafast", "superfast", "veryfast", "faster", "fast"),
    "hevc": ("ultrafast", "superfast", "veryfast"),
    "vp9": ("8", "7", "6"),
    "av1": ("12", "11", "10"),
}
"""Fastest first."""

MATRICES = {"bt709": 1, "fcc": 4, "bt601": 6, "smpte240m": 7, "bt2020": 9}
"""ITU-T H.273 numbers of colour matrices."""


class EncodingError(PipelineError):
    """An encoder refused its settings or its input."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a source becomes a distorted video.

    Attributes:
        codec: ``h264``, ``hevc``, ``vp9`` or ``av1``.
        crf: the encoder's constant rate factor.
        preset: one of ``PRESETS[codec]``.
        gop: longest distance between key frames, in frames.
        bframes: most B-frames in a row (h264 and hevc; the others decide for themselves).
        tune: x264's and x265's ``-tune``, or empty.
        scale: the encoder sees ``scale`` times the source's width and height; its result is scaled back before it is
            scored (Waterloo IVC 4K's resolutions).
        fps: frames per second that the container states.
    """

    codec: Codec
    crf: int
    preset: str
    gop: int = 32
    bframes: int = 2
    tune: str = ""
    scale: float = 1.0
    fps: int = 30

    def text(self) -> str:
        """All settings in one line, for keys and logs."""
        return " ".join(f"{name}={value}" for name, value in asdict(self).items())


def encode(
    video: Video420,
    recipe: Recipe,
    container: str | None = None,
    changes: Mapping[str, str | None] | None = None,
    *,
    matrix: str = "",
) -> bytes:
    """Encodes.

    Args:
        video: the source; scaled first where ``recipe.scale`` says so.
        recipe: codec and settings.
        container: FFmpeg's name of the format; None takes the codec's usual one.
        changes: encoder options beside those of the recipe; None as a value takes one of the recipe's away.
        matrix: that the file names for its colour, a key of ``MATRICES``; empty names none.

    Returns:
        The file's bytes.

    Raises:
        EncodingError: the encoder refused.
    """
    if recipe.codec not in ENCODERS:
        known = ", ".join(CODECS)
        raise EncodingError(f"unknown codec {recipe.codec!r}; known: {known}{nearest(recipe.codec, CODECS)}")
    video = scale(video, recipe.scale)
    buffer = io.BytesIO()
    name = container or CONTAINERS[recipe.codec]
    options = {key: value for key, value in {**_options(recipe), **(changes or {})}.items() if value is not None}
    try:
        with av.open(buffer, "w", format="matroska" if name == "mkv" else name, options=_muxer_options(name)) as output:
            stream = cast(av.VideoStream, output.add_stream(ENCODERS[recipe.codec], rate=recipe.fps, options=options))
            stream.width, stream.height = video.shape.width, video.shape.height
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = Fraction(1, recipe.fps)
            stream.codec_context.gop_size = recipe.gop
            if matrix:
                stream.codec_context.colorspace = MATRICES[matrix]
            stream.codec_context.open()
            leave_real_time()
            for index in range(video.shape.num_frames):
                frame = _frame(video, index)
                frame.pts = index
                frame.time_base = Fraction(1, recipe.fps)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        raise EncodingError(f"encoding with {recipe.text()} failed: {error}; check the settings") from error
    return buffer.getvalue()


def decode(file: bytes | Path) -> Video420:
    """Decodes a whole 8-bit 4:2:0 video.

    Raises:
        EncodingError: there is no frame, or another pixel format.
    """
    ys: list[Byte] = []
    us: list[Byte] = []
    vs: list[Byte] = []
    with av.open(io.BytesIO(file) if isinstance(file, bytes) else str(file), "r") as source:
        source.streams.video[0].thread_count = 1
        for frame in source.decode(video=0):
            if frame.format.name not in ("yuv420p", "yuvj420p"):
                raise EncodingError(f"got pixel format {frame.format.name}; expected yuv420p; convert the video first")
            for plane, planes, step in zip(frame.planes, (ys, us, vs), (1, 2, 2), strict=True):
                columns, rows = -(-frame.width // step), -(-frame.height // step)
                flat = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
                planes.append(flat[:rows, :columns].copy())
    if not ys:
        raise EncodingError("the video has no frame")
    return Video420(np.stack(ys), np.stack(us), np.stack(vs))


def scale(video: Video420, factor: float) -> Video420:
    """Scales every frame by ``factor``, to an even size."""
    shape = video.shape
    return resized(video, _even(shape.width * factor), _even(shape.height * factor))


def resized(video: Video420, width: int, height: int) -> Video420:
    """Scales every frame to ``width`` by ``height`` px, both even."""
    if (video.shape.width, video.shape.height) == (width, height):
        return video
    half_width, half_height = width // 2, height // 2
    return Video420(
        _round(resize(video.y.astype(np.float32), width, height)),
        _round(resize(video.u.astype(np.float32), half_width, half_height)),
        _round(resize(video.v.astype(np.float32), half_width, half_height)),
    )


def bits_per_pixel(file: bytes, video: Video420) -> float:
    """Size of the file in bits, per luma pixel of ``video``."""
    return 8.0 * len(file) / video.y.size


def _round(plane: np.ndarray) -> Byte:
    return np.clip(plane + 0.5, 0, 255).astype(np.uint8)


def _even(length: float) -> int:
    return max(32, 2 * round(length / 2))


def leave_real_time() -> None:
    """Takes back the real-time scheduling that SVT-AV1, run by root, gives to every thread: it starves the machine."""
    if not hasattr(os, "sched_setscheduler"):
        return
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.sched_getscheduler(int(thread.name)) == os.SCHED_FIFO:
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def _muxer_options(container: str) -> dict[str, str]:
    # Matroska would otherwise write random ids, and every run would give other bytes.
    return {"fflags": "+bitexact"} if container in ("webm", "mkv") else {}


def _options(recipe: Recipe) -> dict[str, str]:
    crf, gop = str(recipe.crf), str(recipe.gop)
    if recipe.codec == "h264":
        # x264's macroblock tree, in its vector code, gives other bytes from run to run.
        options = {
            "crf": crf,
            "preset": recipe.preset,
            "bf": str(recipe.bframes),
            "threads": "1",
            "x264-params": "mbtree=0",
        }
    elif recipe.codec == "hevc":
        options = {
            "crf": crf,
            "preset": recipe.preset,
            "x265-params": f"log-level=none:pools=none:frame-threads=1:keyint={gop}:bframes={recipe.bframes}:wpp=0",
        }
    elif recipe.codec == "vp9":
        options = {
            "crf": crf,
            "b": "0",
            "cpu-used": recipe.preset,
            "deadline": "realtime" if int(recipe.preset) > 5 else "good",
            "threads": "1",
            "row-mt": "0",
            "lag-in-frames": "0" if int(recipe.preset) > 5 else "16",
        }
    else:
        options = {"crf": crf, "preset": recipe.preset, "svtav1-params": "lp=1"}
    if recipe.tune and recipe.codec in ("h264", "hevc"):
        options["tune"] = recipe.tune
    return options


def _frame(video: Video420, index: int) -> av.VideoFrame:
    stacked = np.concatenate([plane[index].ravel() for plane in (video.y, video.u, video.v)])
    return av.VideoFrame.from_ndarray(stacked.reshape(-1, video.shape.width), format="yuv420p")
