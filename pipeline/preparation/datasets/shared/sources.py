"""Pristine sources of a ladder: which files can be one, their frames as 8-bit 4:2:0, and what encoding them costs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import PipelineError
from pipeline.synthesis.encoding import Recipe, decode, encode, scale
from pipeline.synthesis.planes import Byte, Video420
from pipeline.video.colour import untagged
from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import auto
from pipeline.video.pictures import Box, Picture, PlanarPicture

_TRIAL_FRAMES = 4
_LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "bt601": (0.299, 0.114),
    "fcc": (0.3, 0.11),
    "smpte240m": (0.212, 0.087),
    "bt2020": (0.2627, 0.0593),
}
"""Of red and blue."""
_Planes = tuple[Byte, Byte, Byte]


@dataclass(frozen=True)
class Source:
    """A file that can be encoded.

    Attributes:
        path: of the file.
        width: of its frames as encoded, in px, even.
        height: in px, even.
        num_frames: of the whole file.
        fps: rounded.
        matrix: of its colour.
        notes: what else is to be known of it.
    """

    path: Path
    width: int
    height: int
    num_frames: int
    fps: int
    matrix: str
    notes: tuple[str, ...]


def look_at(path: Path) -> Source | str:
    """Opens a file and decodes its ends; what a worker process does.

    Returns:
        What was found, or why it cannot be a source.
    """
    try:
        info = auto.check_ends(path, DecodeOptions())
    except DecodeError as error:
        return str(error)
    except OSError as error:
        return f"cannot read the file: {error.strerror or error}"
    matrix = untagged(info.height) if info.tags[0] == "untagged" else info.tags[0]
    fps = max(1, round(info.fps or 25))
    return Source(path, info.width & ~1, info.height & ~1, info.num_frames, fps, matrix, info.notes)


def read(source: Source, max_frames: int) -> Video420:
    """The first frames of a source.

    Raises:
        DecodeError: they cannot be decoded.
    """
    planes: list[_Planes] = []
    with auto.open(source.path, options=DecodeOptions()) as video:
        for _, picture in video.frames(range(min(max_frames, video.info.num_frames))):
            planes.append(planes_420(picture, source.matrix))
    y, u, v = (np.stack(part) for part in zip(*planes, strict=True))
    return Video420(y, u, v)


def planes_420(picture: Picture, matrix: str) -> _Planes:
    """A frame as 8-bit 4:2:0 of limited range and even size; one that is stored so comes as it is.

    Args:
        picture: of any kind.
        matrix: by which RGB becomes luma and chroma.
    """
    height, width = picture.height & ~1, picture.width & ~1
    if isinstance(picture, PlanarPicture) and picture.subsampling in ((0, 0), (0, 1), (1, 1)):
        full = picture.colour.full_range
        y = _to_8_bits(picture.y[:height, :width], picture.depth, full, 0, 219)
        if picture.u is None or picture.v is None:
            grey = np.full((height // 2, width // 2), 128, np.uint8)
            return y, grey, grey
        u, v = (
            _to_8_bits(_halved(plane, picture.subsampling, height, width), picture.depth, full, 128, 224)
            for plane in (picture.u, picture.v)
        )
        return y, u, v
    rgb: NDArray[Any] = picture.region(Box(0, 0, height, width)).astype(np.float32)
    red, blue = _LUMA_WEIGHTS[matrix]
    luma: NDArray[Any] = rgb @ np.array([red, 1 - red - blue, blue], np.float32)
    chroma = [(rgb[..., at] - luma) / (2 - 2 * weight) for at, weight in ((2, blue), (0, red))]
    halved = [_rounded(_halved(plane, (0, 0), height, width) * (224 / 255) + 128) for plane in chroma]
    return _rounded(luma * (219 / 255) + 16), halved[0], halved[1]


def _to_8_bits(plane: NDArray[Any], depth: int, full: bool, centre: int, span: int) -> Byte:
    if depth == 8 and not full and plane.dtype == np.uint8:
        return np.ascontiguousarray(plane)
    levels: NDArray[Any] = plane.astype(np.float32) / (1 << (depth - 8))
    if full:
        levels = (levels - centre) * (span / 255) + (centre or 16)
    return _rounded(levels)


def _halved(plane: NDArray[Any], subsampling: tuple[int, int], height: int, width: int) -> NDArray[Any]:
    """Chroma of 4:2:0, each sample the mean of those that it replaces."""
    rows, columns = (1 - shift for shift in subsampling)
    if not rows and not columns:
        return plane[: height // 2, : width // 2]
    whole: NDArray[Any] = plane[: height if rows else height // 2, : width if columns else width // 2].astype(
        np.float32
    )
    if rows:
        whole = (whole[0::2] + whole[1::2]) / 2
    return (whole[:, 0::2] + whole[:, 1::2]) / 2 if columns else whole


def _rounded(levels: NDArray[Any]) -> Byte:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def seconds_of(source: Source, recipes: Sequence[Recipe], max_frames: int) -> float:
    """About how long the encodes of a source take in one process, from a trial of each codec on its first frames.

    Args:
        source: the file.
        recipes: of its rungs.
        max_frames: of it that are encoded.
    """
    try:
        trial = read(source, _TRIAL_FRAMES)
        num_frames = min(max_frames, source.num_frames)
        found = {}
        for recipe in {recipe.codec: recipe for recipe in recipes}.values():
            start = time.perf_counter()
            decode(encode(scale(trial, recipe.scale), recipe))
            found[recipe.codec] = (time.perf_counter() - start) / trial.shape.num_frames
    except PipelineError:
        return 0.0
    return sum(found[recipe.codec] * num_frames for recipe in recipes)
