"""Writes tiny real videos whose pixels encode the frame's number, for every test that needs a video.

A frame is four by two blocks, black or white: the number's bits, the lowest at the top left. ``index_of`` reads them
back from any decoder's pixels, after any of the codecs at any sane quality.
"""

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.encoding import leave_real_time

WIDTH, HEIGHT = 96, 64
_COLUMNS, _ROWS = 4, 2
_QUIET: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "bf": "3", "b_strategy": "0", "crf": "18"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1", "crf": "18"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "crf": "20", "b": "0"},
    "libsvtav1": {"preset": "12", "crf": "25", "svtav1-params": "lp=1"},
}
_UNITY = 0x10000
_TURNS = {
    90: lambda width, height: (0, _UNITY, 0, -_UNITY, 0, 0, height << 16, 0, 0x40000000),
    180: lambda width, height: (-_UNITY, 0, 0, 0, -_UNITY, 0, width << 16, height << 16, 0x40000000),
    270: lambda width, height: (0, -_UNITY, 0, _UNITY, 0, 0, 0, width << 16, 0x40000000),
}


def frame_pixels(index: int, *, width: int = WIDTH, height: int = HEIGHT, texture: bool = False) -> NDArray[np.uint8]:
    """A frame that encodes its number, 0 … 255.

    Args:
        index: the number.
        width: in px.
        height: in px.
        texture: whether coloured gradients and grain fill the frame, which then encodes the number only roughly.

    Returns:
        uint8 ``h w 3``.
    """
    bits = np.array([(index >> bit) & 1 for bit in range(_COLUMNS * _ROWS)], np.uint8).reshape(_ROWS, _COLUMNS)
    rows = np.arange(height) * _ROWS // height
    columns = np.arange(width) * _COLUMNS // width
    code = bits[rows[:, None], columns[None]] * 220 + 16
    if not texture:
        return np.repeat(code[..., None], 3, axis=2).astype(np.uint8)
    ramp = np.add.outer(np.arange(height) * 3, np.arange(width) * 2) + index * 7
    colours = np.stack([ramp % 256, (ramp[::-1] * 2) % 256, (ramp[:, ::-1] + index * 13) % 256], axis=2)
    grain = np.random.default_rng(index).normal(0, 20, colours.shape)
    return np.clip(0.25 * code[..., None] + 0.75 * colours + grain, 0, 255).astype(np.uint8)


def index_of(pixels: NDArray[np.uint8]) -> int:
    """Reads the number that ``frame_pixels`` put into a frame, from its RGB ``h w 3``, upright and whole."""
    height, width = pixels.shape[:2]
    grey = pixels.mean(axis=2)
    index = 0
    for bit in range(_COLUMNS * _ROWS):
        row, column = divmod(bit, _COLUMNS)
        centre = grey[
            (2 * row + 1) * height // (2 * _ROWS) - 2 : (2 * row + 1) * height // (2 * _ROWS) + 2,
            (2 * column + 1) * width // (2 * _COLUMNS) - 2 : (2 * column + 1) * width // (2 * _COLUMNS) + 2,
        ]
        index |= int(centre.mean() > 128) << bit
    return index


def write_video(
    path: Path,
    *,
    num_frames: int = 24,
    codec: str = "libx264",
    width: int = WIDTH,
    height: int = HEIGHT,
    pix_fmt: str = "yuv420p",
    fps: int = 25,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    matrix: int | None = None,
    full_range: bool = False,
    texture: bool = False,
) -> Path:
    """Encodes a video through PyAV; H.264 comes with B-frames.

    Args:
        path: of the file; its suffix chooses the container.
        num_frames: at most 256.
        codec: FFmpeg's encoder.
        width: in px.
        height: in px.
        pix_fmt: FFmpeg's name.
        fps: frames per second.
        options: of the encoder, beside quiet and fast ones.
        container_options: of the muxer.
        ticks: time of each frame in 1/``fps`` s, for a variable frame rate.
        matrix: ITU-T H.273 number of the colour matrix to tag; None tags nothing.
        full_range: whether luma is tagged as full range.
        texture: see ``frame_pixels``.

    Returns:
        ``path``.
    """
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=fps, options={**_QUIET.get(codec, {}), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.thread_count = 1
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if full_range:
            stream.codec_context.color_range = 2
        if codec == "libsvtav1":
            stream.codec_context.open()
            leave_real_time()
        for index in range(num_frames):
            pixels = frame_pixels(index, width=width, height=height, texture=texture)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = (index if ticks is None else ticks[index]), Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_by_edit_list(path: Path, *, first: int, num_frames: int, fps: int = 25) -> Path:
    """Changes the edit list of an MP4 so that only ``num_frames`` frames from ``first`` on are shown."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    _, media_time = struct.unpack_from(">Ii", data, at)
    media_scale = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    movie_scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    struct.pack_into(">Ii", data, at, num_frames * movie_scale // fps, media_time + first * media_scale // fps)
    path.write_bytes(data)
    return path


def rotate(path: Path, degrees: int) -> Path:
    """Tags an MP4 to be shown turned clockwise by 90, 180 or 270 degrees, as a phone does."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    width, height = (size >> 16 for size in struct.unpack_from(">II", data, at + 36))
    struct.pack_into(">9i", data, at, *_TURNS[degrees](width, height))
    path.write_bytes(data)
    return path


def yuv_planes(index: int, *, width: int = WIDTH, height: int = HEIGHT, depth: int = 8) -> list[NDArray[np.generic]]:
    """The planes of a raw 4:2:0 frame that encodes its number: luma and two neutral chroma planes."""
    luma = 16 + (frame_pixels(index, width=width, height=height)[..., 0].astype(np.uint16) - 16) * 219 // 220
    shape = ((height + 1) // 2, (width + 1) // 2)
    chroma = np.full(shape, 128, np.uint16)
    sample = np.uint8 if depth == 8 else np.dtype("<u2")
    return [(plane << (depth - 8)).astype(sample) for plane in (luma, chroma, chroma)]


def write_raw(
    path: Path, *, num_frames: int = 24, width: int = WIDTH, height: int = HEIGHT, depth: int = 8, fps: int = 25
) -> Path:
    """Writes raw 4:2:0 video, with a header when the suffix is ``.y4m``; a ``.yuv`` name should tell the size."""
    with path.open("wb") as file:
        headed = path.suffix == ".y4m"
        if headed:
            chroma = "420jpeg" if depth == 8 else f"420p{depth} XYSCSS=420P{depth}"
            file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C{chroma}\n".encode())
        for index in range(num_frames):
            file.write(b"FRAME\n" if headed else b"")
            for plane in yuv_planes(index, width=width, height=height, depth=depth):
                file.write(plane.tobytes())
    return path
