"""Decoders: get frames. Which frames, and which part of them, is decided elsewhere (``pipeline/rendering/views.py``).

One decoder is one file of this folder with ``available() -> bool``, ``version() -> str`` and
``open(path, *, options) -> OpenVideo``. ``tests/pipeline/video/decoders`` runs the same conformance tests on every one.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import PipelineError
from pipeline.video.pictures import Picture


class DecodeError(PipelineError):
    """A video cannot be decoded, or not without guessing; the text is the reason that its rows carry."""


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """What a decoder is given beside the path.

    Attributes:
        threads: decoding threads; frames are the same for any number.
        max_frame_pixels: a frame larger than this is refused before memory is taken for it.
        max_frames: a video with more frames than this is refused.
        raw_width: of raw video whose name does not tell, in px.
        raw_height: of raw video whose name does not tell, in px.
        raw_fps: of raw video whose name does not tell.
        raw_pix_fmt: ``yuv420p`` or ``yuv420p10le``, of raw video whose name does not tell.
        refuse_hdr: whether high dynamic range is refused rather than shown without tone mapping.
    """

    threads: int = 1
    max_frame_pixels: int = 8192 * 8192
    max_frames: int = 10_000_000
    raw_width: int | None = None
    raw_height: int | None = None
    raw_fps: float | None = None
    raw_pix_fmt: str | None = None
    refuse_hdr: bool = False


def is_headerless(path: str) -> bool:
    """Whether a file's size and pixel format must be given, since nothing in it says them."""
    return path.lower().endswith(".yuv")


def options_for(
    path: str, width: int | None, height: int | None, fps: float | None, pix_fmt: str | None
) -> DecodeOptions:
    """How a file is decoded of which this is known. Only a headerless one needs it; there None, or an empty text,
    leaves it to the file's name."""
    if not is_headerless(path):
        return DecodeOptions()
    return DecodeOptions(raw_width=width, raw_height=height, raw_fps=fps, raw_pix_fmt=pix_fmt or None)


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of an open video.

    Attributes:
        width: of a frame as shown (after rotation), in px.
        height: of a frame as shown, in px.
        fps: average frames per second, by the frames' times where the header tells none or errs; None where unknown.
        num_frames: exactly those that are shown.
        pix_fmt: FFmpeg's name of the stored pixel format.
        rotation: clockwise turn from stored to shown, in degrees: 0, 90, 180 or 270. Frames come upright.
        is_mirrored: whether the stored frame is mirrored left to right before it is turned.
        codec: FFmpeg's name, such as ``h264``.
        container: FFmpeg's names of the file format, such as ``mov,mp4``; empty for raw video.
        seconds: duration, the last frame's included; None where unknown.
        times: float64, when each frame is shown, in seconds from the first, where the rate varies; else None.
        decoder: name and version of what decodes, for the record.
        notes: what else a reader of the record should know: the stream of several, ``interlaced``, ``variable rate``,
            pixels that are not square, HDR.
        tags: the colour as the file names it: matrix or ``untagged``, then ``limited``, ``full`` or ``untagged``.
    """

    width: int
    height: int
    fps: float | None
    num_frames: int
    pix_fmt: str
    rotation: int = 0
    is_mirrored: bool = False
    codec: str
    container: str = ""
    seconds: float | None = None
    times: NDArray[np.float64] | None = None
    decoder: str
    notes: tuple[str, ...] = ()
    tags: tuple[str, str] = ("untagged", "untagged")

    @property
    def record(self) -> str:
        """Decoder and notes, as a row has them."""
        return "; ".join((self.decoder, *self.notes))


class OpenVideo(Protocol):
    """A video being read; a context manager."""

    info: VideoInfo

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, Picture]]:
        """Decodes the frames asked for, in presentation order, in one pass.

        Args:
            indices: strictly ascending, from 0, in presentation order.

        Yields:
            The index and its picture, whose pixels are valid until the next one is asked for.

        Raises:
            DecodeError: the file is damaged, or ends before a frame that was asked for.
        """

    def close(self) -> None:
        """Releases the file."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_file(path: Path) -> int:
    """Makes sure that ``path`` is a regular file with something in it and a name that is text, without opening it.

    Returns:
        Its size in bytes.

    Raises:
        DecodeError: it is missing, unreadable, empty, a directory, a pipe or a device, or its name is no UTF-8.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise DecodeError("the file's name is not UTF-8, which decoders demand; rename the file") from None
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise DecodeError(f"cannot read the file: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DecodeError("not a regular file (a directory, a pipe or a device); give a video file")
    if status.st_size == 0:
        raise DecodeError("the file is empty (0 bytes)")
    return status.st_size


def check_indices(indices: Sequence[int], num_frames: int) -> None:
    """Makes sure that the frames asked for exist.

    Raises:
        DecodeError: an index is outside the video.
        ValueError: the indices are not strictly ascending.
    """
    if any(later <= earlier for earlier, later in pairwise(indices)):
        raise ValueError("frame indices must be strictly ascending")
    if indices and (indices[0] < 0 or indices[-1] >= num_frames):
        wrong = indices[0] if indices[0] < 0 else indices[-1]
        raise DecodeError(f"frame {wrong} was asked for, but the video has frames 0 … {num_frames - 1}")


def check_size(width: int, height: int, options: DecodeOptions) -> None:
    """Refuses frames without pixels, and frames too large to be taken into memory.

    Raises:
        DecodeError: so it is.
    """
    if width < 1 or height < 1:
        raise DecodeError(f"the video claims frames of {width}x{height} px")
    if width * height > options.max_frame_pixels:
        raise DecodeError(
            f"the video claims frames of {width}x{height} px; at most {options.max_frame_pixels} px are decoded"
        )
