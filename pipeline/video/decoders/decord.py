"""decord, for the videos on which it is proven to give the very bytes that PyAV gives; it refuses the others.

The domain: 8-bit 4:2:0 of limited range and even size, in H.264, HEVC or VP9, in MP4 or Matroska, without rotation and
without an edit list that hides frames, whose colour decord takes as we do (it honours tags, and takes everything
untagged as BT.601). Outside it decord answers differently, wrongly (an edit list makes it repeat the last frame,
silently) or not at all (AV1, transport streams).

decord conceals damage where PyAV stops, and says so on standard error only; a frame during whose decoding it complains
is therefore refused. decord converts whole frames to RGB itself, so cropping comes after.
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

from pipeline.video.colour import untagged
from pipeline.video.decoder import DecodeError, DecodeOptions, VideoInfo, check_indices
from pipeline.video.decoders import pyav
from pipeline.video.decoders.shared.complaints import Complaints
from pipeline.video.pictures import RgbPicture

_CODECS = ("h264", "hevc", "vp9")
_CONTAINERS = {"mov", "mp4", "matroska", "webm"}
_FORMATS = ("yuv420p",)
_MATRICES = ("bt709", "bt601")
_ERROR_LEVEL = 16
_LONGEST_SECONDS = 24 * 3600
_NO_SUBSTITUTES = 1e-9  # decord repeats frames in place of damaged ones, up to this share of them


def available() -> bool:
    """Whether decord is installed; it has wheels for x86-64 Linux, Windows and old macOS only."""
    return importlib.util.find_spec("decord") is not None


def version() -> str:
    """Name and version, for the record."""
    return f"decord {importlib.metadata.version('decord')}"


def refusal(info: VideoInfo) -> str | None:
    """Why decord is not trusted with a video; None where it is proven identical.

    Args:
        info: as PyAV tells it.
    """
    matrix, span = info.tags
    taken_as = "bt601" if matrix == "untagged" else matrix
    wanted = untagged(info.height) if matrix == "untagged" else matrix
    reasons = {
        f"container {info.container}": not _CONTAINERS & set(info.container.split(",")),
        f"codec {info.codec}": info.codec not in _CODECS,
        f"pixel format {info.pix_fmt}": info.pix_fmt not in _FORMATS,
        f"odd size {info.width}x{info.height}": bool(info.width % 2 or info.height % 2),
        f"rotation by {info.rotation} degrees": info.rotation != 0,
        "an edit list": info.edited,
        "open groups of pictures, in which decord repeats frames": info.open_groups,
        "frames without a time, or before zero, which decord counts wrongly": info.untimed,
        f"colour matrix {matrix}": taken_as not in _MATRICES,
        f"untagged colour, which decord takes as {taken_as}, not {wanted}": taken_as != wanted,
        "full range": span == "full",
        "timestamps beyond a day, which make decord abort": (info.seconds or 0) > _LONGEST_SECONDS,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def open(path: Path, *, options: DecodeOptions) -> "DecordVideo":
    """Opens a video.

    Raises:
        DecodeError: it is outside decord's domain, is damaged, or decord is not installed.
    """
    with pyav.open(path, options=options) as probed:
        info = probed.info
    return DecordVideo(path, options, info)


class DecordVideo:
    """A video read by decord; see ``OpenVideo``.

    Args:
        path: of the file.
        options: threads and limits.
        info: as PyAV tells it.
    """

    def __init__(self, path: Path, options: DecodeOptions, info: VideoInfo) -> None:
        if not available():
            raise DecodeError("decord is not installed; set render.decoder to pyav or auto")
        reason = refusal(info)
        if reason:
            raise DecodeError(f"outside the domain in which decord is proven right: {reason}; use auto or pyav")
        self._reader = _reader(path, options)
        if len(self._reader) != info.num_frames:
            raise DecodeError(f"decord counts {len(self._reader)} frames where the file has {info.num_frames}")
        self.info = replace(info, decoder=version())

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, RgbPicture]]:
        """As ``OpenVideo.frames``."""
        check_indices(indices, self.info.num_frames)
        with Complaints("decord") as complaints:
            for index in indices:
                rgb = self._read(index)
                complaints.refuse()
                yield index, RgbPicture(rgb)

    def _read(self, index: int) -> NDArray[np.uint8]:
        import decord

        try:
            rgb: NDArray[np.uint8] = self._reader[index].asnumpy()
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, IndexError) as error:
            raise DecodeError(f"decord cannot read frame {index}: {_first_line(str(error))}") from None
        if rgb.shape != (self.info.height, self.info.width, 3) or rgb.dtype != np.uint8:
            raise DecodeError(f"frame {index} has the shape {rgb.shape}; expected one of the size of the first")
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


def _reader(path: Path, options: DecodeOptions) -> Any:
    import decord

    decord.logging.set_level(_ERROR_LEVEL)
    try:
        with Complaints("decord"):
            return decord.VideoReader(
                str(path), ctx=decord.cpu(0), num_threads=options.threads, fault_tol=_NO_SUBSTITUTES
            )
    except (decord.DECORDError, RuntimeError) as error:
        raise DecodeError(f"decord cannot open the file: {_first_line(str(error))}") from None


def _first_line(text: str) -> str:
    """What went wrong, without the time of day, the place in decord's source and the file's own."""
    lines = text.strip().splitlines() or ["no reason given"]
    return re.sub(r"\[\d\d:\d\d:\d\d\] \S+ |^\[/.*\](?=[A-Z])", "", lines[0])
