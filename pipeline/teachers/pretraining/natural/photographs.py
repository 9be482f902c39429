"""Photographs that become video: scenes of one or several of them, filmed by a moving camera.

A scene is a canvas, sometimes with layers before it that pass at another speed (parallax) or move by themselves
(cut-outs of other photographs); some videos have two scenes with a cut or a cross-fade between them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from pipeline.core.errors import PipelineError
from pipeline.synthesis.planes import Byte, Float, Planes, Shape
from pipeline.synthesis.textures import composite
from pipeline.teachers.pretraining.natural.camerawork import Canvas, Move, draw_move, shoot_plane

_FULL, _COLOUR = np.float32(1 / 255), np.float32(1 / 256)
_ROOM = (1.08, 2.2)
"""Size of a canvas over the frame's."""
_LARGEST_ENLARGEMENT = 1.6
_LAYERS = ((0, 1, 2, 3), (0.64, 0.22, 0.1, 0.04))
_TWO_SCENES = 0.12
_DENOISED = 0.5


class PhotographError(PipelineError):
    """A picture cannot be read, or is too small."""


def animate(rng: np.random.Generator, photographs: Sequence[Path], shape: Shape) -> Planes:
    """Makes a video of photographs.

    Args:
        rng: decides everything.
        photographs: pictures to draw from, files that Pillow reads.
        shape: of the video; both sides even.

    Returns:
        Luma on 0 … 1, without noise other than the photographs' own.
    """
    first = _scene(rng, photographs, shape)
    if rng.random() >= _TWO_SCENES:
        return first
    second = _scene(rng, photographs, shape)
    time = np.arange(shape.num_frames, dtype=np.float32)
    length = 1e-3 if rng.random() < 0.6 else rng.uniform(4, 20)
    mix = np.clip((time - rng.uniform(0.2, 0.8) * shape.num_frames) / length, 0, 1).astype(np.float32)
    return composite(first, second, np.broadcast_to(mix[:, None, None], first.y.shape))


def load(path: Path, size: tuple[int, int], rng: np.random.Generator) -> Canvas:
    """Reads a random part of a photograph and scales it.

    Args:
        path: of a picture.
        size: width and height of the canvas that is wanted, even.
        rng: decides the part, its scale, and whether it is mirrored.

    Raises:
        PhotographError: the file is not a picture.
    """
    try:
        with Image.open(path) as file:
            picture = file.convert("YCbCr")
    except (OSError, SyntaxError, ValueError) as error:
        raise PhotographError(f"{path}: not a picture ({error}); expected a folder of photographs") from error
    largest = min(picture.width / size[0], picture.height / size[1])
    share = max(rng.uniform(), rng.uniform())  # rather much of the photograph than little
    scale = largest if largest <= 1 else float(np.exp(share * np.log(largest)))
    width, height = min(picture.width, size[0] * scale), min(picture.height, size[1] * scale)
    left, top = rng.uniform(0, picture.width - width), rng.uniform(0, picture.height - height)
    part = picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    y, *chroma = part.split()
    u, v = (np.asarray(plane.reduce(2)) for plane in chroma)
    return Canvas(np.asarray(y), u, v)


def cored(canvas: Canvas, threshold: float) -> Canvas:
    """Removes small contrasts of the two finest octaves, as a denoiser does: flat areas become truly flat.

    Args:
        canvas: a photograph with sensor noise.
        threshold: in 8-bit levels; contrasts below it go, larger ones shrink by it.
    """
    fine = canvas.y.astype(np.float32)
    middle = gaussian_filter(fine, 1.0, mode="nearest")
    coarse = gaussian_filter(middle, 2.0, mode="nearest")
    y = coarse + _shrunk(middle - coarse, threshold / 2) + _shrunk(fine - middle, threshold)
    return Canvas(np.clip(y + 0.5, 0, 255).astype(np.uint8), canvas.u, canvas.v)


def large_enough(size: tuple[int, int], shape: Shape) -> bool:
    """Whether a photograph of ``size`` (width, height) has room for a frame, enlarged a little at most."""
    needed = _ROOM[0] / _LARGEST_ENLARGEMENT
    return size[0] >= needed * shape.width and size[1] >= needed * shape.height


def _shrunk(band: Float, threshold: float) -> Float:
    shrunk: Float = np.sign(band) * np.maximum(np.abs(band) - np.float32(threshold), 0)
    return shrunk


def _scene(rng: np.random.Generator, photographs: Sequence[Path], shape: Shape) -> Planes:
    room = rng.uniform(*_ROOM)
    size = _even(shape.width * room), _even(shape.height * room)
    denoised = rng.random() < _DENOISED
    canvas = _picture(rng, photographs, size, denoised)
    move = draw_move(rng, canvas, shape)
    video = _shot(rng, canvas, move, shape)
    if rng.random() < 0.15:
        video = _out_of_focus(rng, video)
    for _ in range(rng.choice(_LAYERS[0], p=_LAYERS[1])):
        layer = _picture(rng, photographs, size, denoised)
        # Where a layer lies, by its own mask; its picture moves along with it.
        own = (rng.normal(0, 0.25) * shape.width, rng.normal(0, 0.25) * shape.height)
        drift = tuple(rng.normal(0, rng.choice([0.0, 0.5, 2.0]), 2) * shape.height / 180)
        passing = move.followed(float(rng.choice([0.7, 1.3, 1.8, 2.5])), own, (drift[0], drift[1]))
        mask = shoot_plane(_silhouette(rng, size), passing, shape).astype(np.float32) * _FULL
        video = composite(video, _shot(rng, layer, passing, shape), mask)
    return video


def _picture(rng: np.random.Generator, photographs: Sequence[Path], size: tuple[int, int], denoised: bool) -> Canvas:
    canvas = load(photographs[int(rng.integers(len(photographs)))], size, rng)
    return cored(canvas, float(rng.uniform(1.0, 5.0))) if denoised else canvas


def _shot(rng: np.random.Generator, canvas: Canvas, move: Move, shape: Shape) -> Planes:
    """Films a canvas, with the shutter's blur where the camera is fast."""
    moves = [move]
    speed = float(np.hypot(np.diff(move.x), np.diff(move.y)).mean())
    if speed > 1.5 and rng.random() < 0.5:
        moves += [_later(move, share) for share in ((0.25, 0.5) if speed > 4 else (0.4,))]
    planes = []
    for plane, subsampling, factor in ((canvas.y, 1, _FULL), (canvas.u, 2, _COLOUR), (canvas.v, 2, _COLOUR)):
        moments = moves if subsampling == 1 else moves[:1]
        total = shoot_plane(plane, moments[0], shape, subsampling).astype(np.float32)
        for moment in moments[1:]:
            total += shoot_plane(plane, moment, shape, subsampling)
        total *= factor / len(moments)
        planes.append(total if subsampling == 1 else total - np.float32(0.5))
    return Planes(*planes)


def _later(move: Move, share: float) -> Move:
    """The move a part of a frame later."""

    def between(values: Float) -> Float:
        return values + np.float32(share) * np.diff(values, append=values[-1])

    return Move(between(move.x), between(move.y), between(move.zoom), between(move.angle), move.bend, move.wave)


def _out_of_focus(rng: np.random.Generator, video: Planes) -> Planes:
    """Focus that stays away or rolls: luma is blurred by a radius that may change."""
    largest, time = rng.uniform(0.5, 3.0), np.arange(len(video.y))
    radius = np.full(len(time), largest)
    if rng.random() < 0.6:
        radius = largest * (0.5 + 0.5 * np.cos(time * rng.uniform(0.03, 0.2) + rng.uniform(0, 6)))
    for index in np.flatnonzero(radius > 0.2):
        frame = Image.fromarray(np.clip(video.y[index] * 255 + 0.5, 0, 255).astype(np.uint8))
        blurred = frame.filter(ImageFilter.GaussianBlur(float(radius[index])))
        video.y[index] = np.asarray(blurred, dtype=np.float32) * _FULL
    return video


def _silhouette(rng: np.random.Generator, size: tuple[int, int]) -> Byte:
    """The outline of a cut-out on its canvas: a blob, or the ground before a scene; uint8 ``h w``, 255 inside."""
    width, height = size
    noise = rng.standard_normal((8, 8)).astype(np.float32)
    field = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    if rng.random() < 0.3:
        outline = 3 * (rows - rng.uniform(0.0, 0.6)) * rng.choice([-1, 1]) + 0.4 * field
    else:
        outline = rng.uniform(0.15, 0.6) - np.hypot(rows, columns * rng.uniform(0.6, 1.6)) + 0.2 * field
    softness = rng.choice([0.01, 0.02, 0.06])
    return (np.clip(outline / softness + 0.5, 0, 1) * 255).astype(np.uint8)


def _even(length: float) -> int:
    return 2 * round(length / 2)
