"""How a camera moves over a still picture: pan, zoom, rotation, shake and local bending, and the warp that films it.

Pillow's warp does the work: at the small sizes of a training clip it is several times as fast as resampling matrices,
and it rotates. It does not antialias, so a canvas is scaled first to about the size at which it is filmed.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.synthesis.planes import Byte, Float, Shape

_BICUBIC, _BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
_CELLS = 4
"""Cells per side of the mesh that bends a picture."""


@dataclass(frozen=True)
class Canvas:
    """A still picture that is filmed.

    Attributes:
        y: uint8 ``h w``, 0 … 255 from black to white; both sides even.
        u: uint8 ``h/2 w/2``, 128 is grey.
        v: as ``u``.
    """

    y: Byte
    u: Byte
    v: Byte


@dataclass(frozen=True)
class Move:
    """Where a camera looks, frame by frame; all float64 ``t``.

    Attributes:
        x: the centre's column on the canvas, in luma px.
        y: the centre's row.
        zoom: canvas px per output px.
        angle: in radians.
        bend: amplitude of a wave that bends the picture, in output px; 0 for a rigid one.
        wave: ``(rows, columns, turns per frame)`` of that wave.
    """

    x: Float
    y: Float
    zoom: Float
    angle: Float
    bend: float = 0.0
    wave: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def followed(self, factor: float, offset: tuple[float, float], drift: tuple[float, float]) -> "Move":
        """The same camera's view of a layer that is nearer or farther and moves by itself.

        Args:
            factor: how fast the layer passes, 1 as the canvas itself.
            offset: px by which the layer lies elsewhere.
            drift: px per frame of its own motion.
        """
        time = np.arange(len(self.x))
        x = self.x[0] + (self.x - self.x[0]) * factor + offset[0] + drift[0] * time
        y = self.y[0] + (self.y - self.y[0]) * factor + offset[1] + drift[1] * time
        return Move(x, y, self.zoom, self.angle, self.bend, self.wave)


def draw_move(rng: np.random.Generator, canvas: Canvas, shape: Shape) -> Move:
    """Draws how a canvas is filmed; the frame never leaves it.

    A tenth stand on a tripod, the others pan, zoom, turn and shake in any combination.
    """
    time = np.arange(shape.num_frames)
    still = rng.random() < 0.1
    size = np.hypot(shape.width, shape.height) / 367  # speeds are those of 320 x 180 px
    pan = rng.normal(0, 1, 2) * rng.choice([0.15, 0.6, 1.5, 4.0], p=[0.3, 0.35, 0.25, 0.1]) * size
    ease = time + rng.uniform(0, 6) * np.sin(time * rng.uniform(0.05, 0.3))
    shake = _shake(rng, shape.num_frames) * (rng.uniform(0.1, 0.9) * size if rng.random() < 0.6 else 0.0)
    zoom = rng.uniform(0.85, 1.25) * np.exp(_sometimes(rng, 0.45, 0.004) * time)
    turn = _sometimes(rng, 0.35, 0.06) + _sometimes(rng, 0.25, 0.004) * time
    start = rng.uniform(0, 1, 2) * canvas.y.shape[::-1]
    path = start[:, None] + (pan[:, None] * ease + shake) * (not still)
    if still:
        zoom, turn = np.full_like(zoom, zoom[0]), np.full_like(turn, turn[0])
    bend = rng.uniform(0.3, 2.5) * size if rng.random() < 0.2 and not still else 0.0
    wave = (rng.uniform(0.5, 6), rng.uniform(0.5, 6), rng.choice([0.005, 0.02, 0.06]))
    return _inside(Move(path[0], path[1], zoom, turn, bend, wave), canvas, shape)


def shoot_plane(plane: Byte, move: Move, shape: Shape, subsampling: int = 1) -> Byte:
    """Films one plane of a canvas.

    Args:
        plane: uint8 ``h w``.
        move: the camera's, in luma px.
        shape: of the video, in luma px.
        subsampling: 1 for luma, 2 for chroma, which is filmed with a cheaper kernel.

    Returns:
        uint8 ``t h w`` of ``shape`` over ``subsampling``; where the frame leaves the plane it is black.
    """
    size = shape.width // subsampling, shape.height // subsampling
    picture, kernel = Image.fromarray(plane), _BICUBIC if subsampling == 1 else _BILINEAR
    frames = np.empty((shape.num_frames, size[1], size[0]), dtype=np.uint8)
    previous: tuple[float, ...] | None = None
    for index in range(shape.num_frames):
        pose = tuple(float(values[index]) for values in (move.x, move.y, move.zoom, move.angle))
        if pose == previous and not move.bend:
            frames[index] = frames[index - 1]
            continue
        previous = pose
        if move.bend:
            warped = picture.transform(size, Image.Transform.MESH, _mesh(move, index, size, subsampling), kernel)
        else:
            warped = picture.transform(size, Image.Transform.AFFINE, _affine(pose, size, subsampling), kernel)
        frames[index] = np.asarray(warped)
    return frames


def _affine(pose: tuple[float, ...], size: tuple[int, int], subsampling: int) -> tuple[float, ...]:
    """Pillow's six numbers: the place on the plane of each output pixel."""
    x, y, zoom, angle = pose
    across, down = zoom * np.cos(angle), zoom * np.sin(angle)
    left = x / subsampling - across * size[0] / 2 + down * size[1] / 2
    top = y / subsampling - down * size[0] / 2 - across * size[1] / 2
    return across, -down, left, down, across, top


def _mesh(
    move: Move, index: int, size: tuple[int, int], subsampling: int
) -> list[tuple[tuple[int, int, int, int], tuple[float, ...]]]:
    """The frame's cells, each with the quadrilateral of the plane that it shows."""
    pose = float(move.x[index]), float(move.y[index]), float(move.zoom[index]), float(move.angle[index])
    a, b, left, d, e, top = _affine(pose, size, subsampling)
    columns = np.linspace(0, size[0], _CELLS + 1).round().astype(int)
    rows = np.linspace(0, size[1], _CELLS + 1).round().astype(int)
    down, across = np.meshgrid(np.linspace(0, 1, _CELLS + 1), np.linspace(0, 1, _CELLS + 1), indexing="ij")
    phase = 2 * np.pi * (move.wave[2] * index)
    reach = move.bend / subsampling
    x = columns[None, :] + reach * np.sin(move.wave[0] * down * 2 + phase) * np.cos(move.wave[1] * across + phase)
    y = rows[:, None] + reach * np.cos(move.wave[1] * across * 2 - phase) * np.sin(move.wave[0] * down + phase)
    places = np.stack([a * x + b * y + left, d * x + e * y + top], axis=-1)
    cells = []
    for row in range(_CELLS):
        for column in range(_CELLS):
            box = (int(columns[column]), int(rows[row]), int(columns[column + 1]), int(rows[row + 1]))
            corners = (
                places[row, column], places[row + 1, column],
                places[row + 1, column + 1], places[row, column + 1],
            )  # fmt: skip
            cells.append((box, tuple(float(value) for corner in corners for value in corner)))
    return cells


def _inside(move: Move, canvas: Canvas, shape: Shape) -> Move:
    """Zooms in where the frame is larger than the canvas, and stops the camera at the canvas's ends."""
    rows, columns = canvas.y.shape
    cos, sin = np.abs(np.cos(move.angle)), np.abs(np.sin(move.angle))
    margin = 4 + 2 * move.bend
    across = (shape.width * cos + shape.height * sin) / 2
    down = (shape.width * sin + shape.height * cos) / 2
    largest = np.minimum((columns / 2 - margin) / across, (rows / 2 - margin) / down)
    zoom = move.zoom * min(1.0, float((largest / move.zoom).min()))
    x = _reflected(move.x, across * zoom + margin, columns - across * zoom - margin)
    y = _reflected(move.y, down * zoom + margin, rows - down * zoom - margin)
    return Move(x, y, zoom, move.angle, move.bend, move.wave)


def _reflected(path: Float, low: Float, high: Float) -> Float:
    """Turns a path back at both ends of its range, which may move."""
    span = np.maximum(high - low, 1e-6)
    phase = np.mod(path - low, 2 * span)
    inside: Float = low + np.where(phase < span, phase, 2 * span - phase)
    return inside


def _shake(rng: np.random.Generator, num_frames: int) -> Float:
    """A hand's tremor, float64 ``2 t``, starting at 0."""
    steps = rng.normal(0, 1, (2, num_frames))
    place = np.zeros((2, num_frames))
    speed = np.zeros(2)
    for index in range(1, num_frames):
        speed = 0.75 * speed + 0.5 * steps[:, index]
        place[:, index] = 0.94 * place[:, index - 1] + speed
    return place.astype(np.float32)


def _sometimes(rng: np.random.Generator, odds: float, deviation: float) -> float:
    return float(rng.normal(0, deviation)) if rng.random() < odds else 0.0
