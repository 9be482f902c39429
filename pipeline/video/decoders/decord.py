"""decord, for whoever names it: it reads forward and never seeks, and agrees with PyAV or refuses.

decord seeks to packets that are merely flagged as key, so that other frames than asked for may come; repeats frames
where an edit list or damage leaves fewer; and takes untagged HD as BT.601. So PyAV reads the file first, and decord is
refused where count, size, or the pixels of the first or last frame differ. It is no faster: see ``docs/frames.md``.
"""

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.video.decoder import DecodeError, DecodeOptions, check_indices
from pipeline.video.decoders import pyav
from pipeline.video.pictures import Box, RgbPicture

_LONGEST_SECONDS = 24 * 3600
_NO_SUBSTITUTES = 1e-9  # decord repeats frames in place of damaged ones, up to this share of them


def available() -> bool:
    """Whether decord is installed; it has wheels for x86-64 Linux, Windows and old macOS only."""
    return importlib.util.find_spec("decord") is not None


def version() -> str:
    """Name and version, for the record."""
    return f"decord {importlib.metadata.version('decord')}"


def open(path: Path, *, options: DecodeOptions) -> "DecordVideo":
    """Opens a video.

    Raises:
        DecodeError: it is damaged, decord differs from PyAV on it, or is not installed.
    """
    return DecordVideo(path, options)


class DecordVideo:
    """A video read by decord; see ``OpenVideo``."""

    def __init__(self, path: Path, options: DecodeOptions) -> None:
        if not available():
            raise DecodeError("decord is not installed; set render.decoder to auto")
        self._path, self._options = path, options
        with pyav.open(path, options=options) as other:
            self.info = replace(other.info, decoder=version())
            if other.last_seconds > _LONGEST_SECONDS:
                raise DecodeError("timestamps beyond a day, which make decord abort; set render.decoder to auto")
            whole = Box(0, 0, self.info.height, self.info.width)
            ends = sorted({0, self.info.num_frames - 1})
            expected = [(index, picture.region(whole).copy()) for index, picture in other.frames(ends)]
        self._start()
        if self._count != self.info.num_frames:
            raise _differs(f"it counts {self._count} frames, PyAV {self.info.num_frames}")
        for (index, rgb), (_, mine) in zip(expected, self.frames(ends), strict=True):
            if not np.array_equal(mine.rgb, rgb):
                worst = int(np.abs(mine.rgb.astype(int) - rgb).max())
                raise _differs(f"pixels of frame {index} differ by up to {worst} levels")

    def _start(self) -> None:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        try:
            self._reader: Any = decord.VideoReader(
                str(self._path), ctx=decord.cpu(0), num_threads=self._options.threads, fault_tol=_NO_SUBSTITUTES
            )
        except (decord.DECORDError, RuntimeError) as error:
            raise DecodeError(f"decord cannot open the file: {_first_line(str(error))}") from None
        self._count, self._next = len(self._reader), 0

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, RgbPicture]]:
        """As ``OpenVideo.frames``; the frames between are decoded too."""
        check_indices(indices, self.info.num_frames)
        if self._reader is None or (indices and indices[0] < self._next):
            self._start()
        for index in indices:
            while self._next <= index:
                rgb = self._read()
            yield index, RgbPicture(rgb)

    def _read(self) -> NDArray[np.uint8]:
        import decord

        try:
            rgb: NDArray[np.uint8] = self._reader.next().asnumpy()
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, StopIteration) as error:
            raise DecodeError(f"decord cannot read frame {self._next}: {_first_line(str(error))}") from None
        if rgb.shape != (self.info.height, self.info.width, 3):
            shown = f"{self.info.width}x{self.info.height}"
            raise _differs(f"frame {self._next} has {rgb.shape[1]}x{rgb.shape[0]} px, by PyAV {shown}")
        self._next += 1
        return rgb

    def close(self) -> None:
        """Releases the file."""
        self._reader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _differs(how: str) -> DecodeError:
    return DecodeError(f"decord does not agree with PyAV: {how}; set render.decoder to auto")


def _first_line(text: str) -> str:
    """What went wrong, without the time of day, the place in decord's source and the file's own."""
    lines = text.strip().splitlines() or ["no reason given"]
    return re.sub(r"\[\d\d:\d\d:\d\d\] \S+ |^\[/.*\](?=[A-Z])", "", lines[0])
