"""Real clips as pristine sources: taken at a scale at which what their own encoder left cannot be seen.

Each clip is decoded once and stored, scaled down, in a folder; ``take`` cuts a part out of it.
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from pipeline.core.errors import PipelineError
from pipeline.synthesis.encoding import resized
from pipeline.synthesis.planes import Byte, Planes, Shape, Video420

_CLEAN_BITS_PER_PIXEL, _CLEAN_LINES = 0.6, 288
"""A clip of at least so many bits and at most so many lines shows nothing of its encoder as it is."""
_SMALLEST_SIDE_PX = 112
_HDR_TRANSFERS = (16, 18)
"""PQ and HLG, by ITU-T H.273."""
_SUFFIXES = (".mp4", ".y4m", ".mkv", ".webm", ".mov", ".264", ".265")


class FootageError(PipelineError):
    """A clip cannot serve as a pristine source."""


@dataclass(frozen=True)
class Footage:
    """A clip that was decoded and scaled down once.

    Attributes:
        folder: of its planes, ``y.npy``, ``u.npy`` and ``v.npy``.
        name: of the file it was made from.
        fps: frames per second, rounded.
    """

    folder: Path
    name: str
    fps: int

    def open(self) -> Video420:
        """The whole clip, mapped from disk."""
        return Video420(*(np.load(self.folder / f"{plane}.npy", mmap_mode="r") for plane in "yuv"))


def clips_of(folder: Path) -> list[Path]:
    """The clips of a folder, by name.

    Raises:
        FootageError: it has none.
    """
    clips = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES) if folder.is_dir() else []
    if not clips:
        raise FootageError(f"{folder} has no clip ({', '.join(_SUFFIXES)}); name a folder that has some")
    return clips


def prepare(clip: Path, store: Path) -> Footage:
    """Decodes a clip and stores it scaled down; a clip that was prepared before is found again.

    Args:
        clip: a video that FFmpeg opens; a small and clean one keeps its size, any other is scaled to half of it.
        store: folder of prepared clips.

    Raises:
        FootageError: it is HDR, or too small to be scaled down.
    """
    folder = store / clip.name
    described = folder / "footage.json"
    if not described.exists():
        frames, fps = _read(clip)
        folder.mkdir(parents=True, exist_ok=True)
        for plane, values in zip("yuv", (frames.y, frames.u, frames.v), strict=True):
            np.save(folder / f"{plane}.npy", values)
        described.write_text(json.dumps({"name": clip.name, "fps": fps}), encoding="utf-8")
    return Footage(folder=folder, **json.loads(described.read_text(encoding="utf-8")))


def take(rng: np.random.Generator, footage: Footage, num_frames: int, most_lines: int = 100_000) -> Planes:
    """Cuts a part out of a clip: some frames, forwards or backwards, a window of the picture, scaled down further.

    Args:
        rng: decides all that.
        footage: a prepared clip.
        num_frames: at most; a shorter clip gives what it has.
        most_lines: the result's height at most, unless its width would fall below what a view needs.

    Returns:
        Luma on 0 … 1.
    """
    video = footage.open()
    length = video.shape.num_frames
    step = 2 if footage.fps >= 24 and length >= 2 * num_frames and rng.random() < 0.2 else 1
    wanted = min(num_frames, length // step)
    start = int(rng.integers(length - wanted * step + 1))
    frames = slice(start, start + wanted * step, step)
    part = _window(rng, Video420(video.y[frames], video.u[frames], video.v[frames]))
    shape = part.shape
    least = _SMALLEST_SIDE_PX / min(shape.width, shape.height)
    factor = max(least, min(1.0, float(rng.uniform(0.6, 1.15)), most_lines / shape.height))
    part = resized(part, _even(shape.width * factor), _even(shape.height * factor))
    time, mirror = (slice(None, None, -1) if rng.random() < odds else slice(None) for odds in (0.25, 0.5))
    y, u, v = (np.ascontiguousarray(plane[time, :, mirror]) for plane in (part.y, part.u, part.v))
    return floats(Video420(y, u, v))


def floats(video: Video420) -> Planes:
    """The inverse of ``planes.quantise``, but for the rounding."""
    y = (video.y.astype(np.float32) - np.float32(16)) * np.float32(1 / 219)
    u, v = ((plane.astype(np.float32) - np.float32(128)) * np.float32(1 / 224) for plane in (video.u, video.v))
    return Planes(y, u, v)


def _window(rng: np.random.Generator, video: Video420) -> Video420:
    """Half of the time the whole picture, else a part of at least 0.7 of each side."""
    if rng.random() < 0.5:
        return video
    box = []
    for side in (video.shape.height, video.shape.width):
        length = min(side, max(_SMALLEST_SIDE_PX, 2 * int(side * rng.uniform(0.7, 1.0) / 2)))
        start = 2 * int(rng.integers((side - length) // 2 + 1))
        box.append((start, start + length))
    (top, bottom), (left, right) = box
    small = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    return Video420(video.y[:, top:bottom, left:right], video.u[:, *small], video.v[:, *small])


def _read(clip: Path) -> tuple[Video420, int]:
    """All frames at the scale that hides the clip's own encoder, limited range, and the frame rate."""
    planes: list[Byte] = []
    size = (0, 0)
    with av.open(str(clip)) as source:
        stream = source.streams.video[0]
        fps = float(stream.average_rate or stream.base_rate or 25)
        for frame in source.decode(stream):
            if not planes:
                size = _size(clip, frame, _bits_per_pixel(clip, source))
            planes.append(_scaled(frame, size))
    if not planes:
        raise FootageError(f"{clip}: got no frame; expected a video; remove it from the folder")
    stacked = np.stack(planes)
    rows, columns = size[1], size[0]
    chroma = stacked[:, rows:].reshape(len(stacked), 2, rows // 2, columns // 2)
    return Video420(stacked[:, :rows], chroma[:, 0], chroma[:, 1]), round(fps)


def _scaled(frame: VideoFrame, size: tuple[int, int]) -> Byte:
    """``h*3/2 w`` of planar 4:2:0 in limited range."""
    full = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    small = frame.reformat(
        *size,
        "yuv420p",
        interpolation="AREA" if size[0] < frame.width else "BICUBIC",
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.MPEG,
    )
    return small.to_ndarray().astype(np.uint8, copy=False)


def _size(clip: Path, frame: VideoFrame, bits_per_pixel: float) -> tuple[int, int]:
    """Width and height at which a clip is stored."""
    if int(frame.color_trc) in _HDR_TRANSFERS:
        raise FootageError(f"{clip}: got an HDR clip; expected standard dynamic range; tone-map or remove it")
    clean = bits_per_pixel >= _CLEAN_BITS_PER_PIXEL and frame.height <= _CLEAN_LINES
    scale = Fraction(1) if clean else Fraction(1, 2)
    size = _even(frame.width * scale), _even(frame.height * scale)
    if min(size) < _SMALLEST_SIDE_PX:
        raise FootageError(
            f"{clip}: got {frame.width} x {frame.height} px at {bits_per_pixel:.2f} bits per pixel; scaled to half, "
            f"which hides its encoder, a side is below {_SMALLEST_SIDE_PX} px; remove it or take a larger copy"
        )
    return size


def _bits_per_pixel(clip: Path, source: av.container.InputContainer) -> float:
    """Of the whole file; a bare stream has no duration, so its packets are counted."""
    stream = source.streams.video[0]
    frames = stream.frames
    if not frames:
        with av.open(str(clip)) as again:
            frames = sum(1 for packet in again.demux(again.streams.video[0]) if packet.size)
    return 8.0 * clip.stat().st_size / (frames * stream.width * stream.height)


def _even(length: float | Fraction) -> int:
    return 2 * round(length / 2)


def shape_of(planes: Planes) -> Shape:
    """The size of a video in float planes."""
    num_frames, height, width = planes.y.shape
    return Shape(width, height, num_frames)
