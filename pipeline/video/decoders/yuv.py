"""Raw planar 4:2:0 of 8 or 10 bits, with (``.y4m``) or without (``.yuv``) a header; frames are read where they lie.

A ``.yuv`` file says nothing of itself: size, rate and depth come from its name (``park_1920x1080_50fps_10bit.yuv``,
``..._3840x2160_yuv420p10le.yuv``) or from the options, which win. A file that is not a whole number of frames is
damaged.

Ref: the y4m header of mjpegtools, ``yuv4mpeg(5)``. Left out: chroma other than 4:2:0, interlacing, big-endian samples.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.video.colour import Colour, untagged
from pipeline.video.decoder import DecodeError, DecodeOptions, VideoInfo, check_file, check_indices, check_size
from pipeline.video.pictures import PlanarPicture

SUFFIXES = (".yuv", ".y4m")
_DEPTHS = {"yuv420p": 8, "yuv420p10le": 10}
_Y4M_CHROMA = {"420": 8, "420jpeg": 8, "420mpeg2": 8, "420paldv": 8, "420p10": 10}
_LONGEST_HEADER_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class _Layout:
    width: int
    height: int
    fps: float | None
    depth: int
    span: str
    first: int
    """Byte at which the first frame, or its own header, begins."""
    framed: bool
    """Whether each frame has a header line of its own."""

    @property
    def frame_bytes(self) -> int:
        chroma = ((self.width + 1) // 2) * ((self.height + 1) // 2)
        return (self.width * self.height + 2 * chroma) * (1 if self.depth == 8 else 2)


def available() -> bool:
    """Always: it needs numpy only."""
    return True


def version() -> str:
    """Name and version, for the record."""
    return "yuv 1"


def open(path: Path, *, options: DecodeOptions) -> "YuvVideo":
    """Opens a raw video.

    Raises:
        DecodeError: it is not one, its size is not known, or it is not a whole number of frames.
    """
    return YuvVideo(path, options)


class YuvVideo:
    """A raw video; see ``OpenVideo``."""

    def __init__(self, path: Path, options: DecodeOptions) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise DecodeError(f"got a file named *{path.suffix}; the decoder yuv reads {' and '.join(SUFFIXES)}")
        size = check_file(path)
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise DecodeError(f"cannot read the file: {error.strerror}") from None
        try:
            self._layout = layout = _read_layout(path, self._file, options)
            check_size(layout.width, layout.height, options)
            self._offsets = _frame_offsets(self._file, layout, size, options)
        except BaseException:
            self._file.close()
            raise
        self._colour = Colour(matrix=untagged(layout.height), full_range=layout.span == "full")
        self.info = VideoInfo(
            width=layout.width,
            height=layout.height,
            fps=layout.fps,
            num_frames=len(self._offsets),
            pix_fmt="yuv420p" if layout.depth == 8 else "yuv420p10le",
            codec="rawvideo",
            decoder=version(),
            tags=("untagged", layout.span),
        )

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, PlanarPicture]]:
        """As ``OpenVideo.frames``; frames that are not asked for are not read."""
        check_indices(indices, self.info.num_frames)
        for index in indices:
            yield index, self._picture(index)

    def _picture(self, index: int) -> PlanarPicture:
        layout = self._layout
        self._file.seek(self._offsets[index])
        data = self._file.read(layout.frame_bytes)
        if len(data) != layout.frame_bytes:
            raise DecodeError(f"the file ends inside frame {index}")
        samples: NDArray[np.integer] = np.frombuffer(data, np.uint8 if layout.depth == 8 else np.dtype("<u2"))
        if layout.depth > 8 and int(samples.max()) >> layout.depth:
            raise DecodeError(f"frame {index} has samples of more than {layout.depth} bits; is it {layout.depth}-bit?")
        chroma_height, chroma_width = (layout.height + 1) // 2, (layout.width + 1) // 2
        ends = np.cumsum([layout.height * layout.width, chroma_height * chroma_width, chroma_height * chroma_width])
        luma, u, v = np.split(samples, ends[:2])
        return PlanarPicture(
            y=luma.reshape(layout.height, layout.width),
            u=u.reshape(chroma_height, chroma_width),
            v=v.reshape(chroma_height, chroma_width),
            subsampling=(1, 1),
            depth=layout.depth,
            colour=self._colour,
        )

    def close(self) -> None:
        """Releases the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_layout(path: Path, file: BinaryIO, options: DecodeOptions) -> _Layout:
    return _from_header(file) if path.suffix.lower() == ".y4m" else _from_name(path.stem, options)


def _from_name(stem: str, options: DecodeOptions) -> _Layout:
    """Size, rate and depth of headerless video, from the options or the name."""
    size = re.search(r"(?<!\d)(\d{1,5})x(\d{1,5})(?!\d)", stem)
    rate = re.search(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s*fps", stem, re.IGNORECASE)
    width = options.raw_width or (int(size[1]) if size else 0)
    height = options.raw_height or (int(size[2]) if size else 0)
    if not width or not height:
        raise DecodeError(f"the size of {stem}.yuv is not known; put it into the name, such as _1920x1080_, or give it")
    ten = re.search(r"10le|10[-_ ]?bit|p10(?!\d)", stem, re.IGNORECASE)
    pix_fmt = options.raw_pix_fmt or ("yuv420p10le" if ten else "yuv420p")
    if pix_fmt not in _DEPTHS:
        raise DecodeError(f"got the raw pixel format {pix_fmt!r}; expected {' or '.join(_DEPTHS)}")
    fps = options.raw_fps or (float(rate[1]) if rate else None)
    return _Layout(width=width, height=height, fps=fps, depth=_DEPTHS[pix_fmt], span="untagged", first=0, framed=False)


def _from_header(file: BinaryIO) -> _Layout:
    line = file.readline(_LONGEST_HEADER_BYTES)
    words = line.decode("ascii", "replace").split()
    if not line.endswith(b"\n") or not words or words[0] != "YUV4MPEG2":
        raise DecodeError("the file does not begin with a y4m header")
    values = {word[0]: word[1:] for word in words[1:] if not word.startswith("X")}
    chroma = values.get("C", "420")
    if chroma not in _Y4M_CHROMA:
        raise DecodeError(f"got y4m chroma {chroma!r}; expected one of {', '.join(_Y4M_CHROMA)}")
    if values.get("I", "p") not in ("p", "?"):
        raise DecodeError("interlaced y4m is not supported")
    try:
        width, height = int(values["W"]), int(values["H"])
        rate = Fraction(*(int(part) for part in values["F"].split(":"))) if "F" in values else None
    except (KeyError, ValueError, ZeroDivisionError, TypeError):
        raise DecodeError(f"the y4m header is malformed: {line[:80]!r}") from None
    span = next((word.split("=", 1)[1].lower() for word in words if word.startswith("XCOLORRANGE=")), "untagged")
    return _Layout(
        width=width,
        height=height,
        fps=float(rate) if rate else None,
        depth=_Y4M_CHROMA[chroma],
        span=span if span in ("full", "limited") else "untagged",
        first=len(line),
        framed=True,
    )


def _frame_offsets(file: BinaryIO, layout: _Layout, size: int, options: DecodeOptions) -> Sequence[int]:
    """Where the samples of each frame begin; the file must end with the last of them."""
    if (size - layout.first) // layout.frame_bytes > options.max_frames:
        raise DecodeError(f"the video has more than {options.max_frames} frames")
    if not layout.framed:
        if size % layout.frame_bytes:
            raise DecodeError(
                f"the file has {size} bytes, which is no whole number of frames of {layout.frame_bytes} bytes "
                f"({layout.width}x{layout.height}, {layout.depth} bits); is the size right?"
            )
        return range(0, size, layout.frame_bytes)
    offsets: list[int] = []
    position = layout.first
    while position < size:
        file.seek(position)
        line = file.readline(_LONGEST_HEADER_BYTES)
        if not line.startswith(b"FRAME") or not line.endswith(b"\n"):
            raise DecodeError(f"the header of frame {len(offsets)} is damaged")
        offsets.append(position + len(line))
        position = file.seek(layout.frame_bytes, os.SEEK_CUR)
    if position != size:
        raise DecodeError(f"the file ends inside frame {len(offsets) - 1}")
    if not offsets:
        raise DecodeError("the video has no frames")
    return offsets
