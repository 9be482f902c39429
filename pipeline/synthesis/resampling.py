"""Separable resampling as two small matrix products per frame: crops at sub-pixel positions, zoom, blur, scaling.

A row of a resampling matrix holds one output pixel's kernel, so that position, zoom, defocus and motion blur are all in
the matrix and cost nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.synthesis.planes import Float, Planes, Shape


def _cubic(x: Float) -> Float:
    """Catmull-Rom, support 2."""
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1.0
    outer = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0)).astype(np.float32)


def matrix(centres: Float, spread: float, blur: float, size: int) -> tuple[Float, int, int]:
    """A resampling matrix along one axis.

    Args:
        centres: float32 ``(n,)``, the place of each output pixel on the input axis, in px.
        spread: input px per output px; above 1 the kernel widens, so that nothing aliases.
        blur: standard deviation of an additional Gaussian, in input px; 0 for none.
        size: length of the input axis; beyond its ends the picture repeats (it is taken as periodic).

    Returns:
        The matrix, float32 ``(n, span)``, and the input range ``[start, start + span)`` it applies to, which may reach
        beyond ``0 … size`` (use ``take_wrapped``).
    """
    scale = max(1.0, spread)
    radius = 2.0 * scale if blur <= 0 else max(2.0 * scale, 3.0 * blur)
    start = int(np.floor(centres.min() - radius))
    stop = int(np.ceil(centres.max() + radius)) + 1
    distance = np.arange(start, stop, dtype=np.float32)[None, :] - centres[:, None].astype(np.float32)
    if blur > 0.35 * scale:
        sigma = np.float32(np.hypot(blur, 0.4 * scale))
        weights = np.exp(-0.5 * (distance / sigma) ** 2).astype(np.float32)
    else:
        weights = _cubic(distance / np.float32(scale))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights, start, stop - start


def take_wrapped(plane: Float, top: int, rows: int, left: int, columns: int) -> Float:
    """A rectangle of a picture that repeats in both directions."""
    height, width = plane.shape
    if min(top, left) >= 0 and top + rows <= height and left + columns <= width:
        return plane[top : top + rows, left : left + columns]
    row_indices = np.arange(top, top + rows) % height
    column_indices = np.arange(left, left + columns) % width
    return plane[np.ix_(row_indices, column_indices)]


@dataclass
class Path:
    """Where a camera looks, frame by frame.

    Attributes:
        x: float32 ``(t,)``, the centre's column on the canvas, in luma px.
        y: float32 ``(t,)``, the centre's row.
        zoom: float32 ``(t,)``, canvas px per output px.
        blur: float32 ``(t,)``, standard deviation of defocus, in canvas px.
    """

    x: Float
    y: Float
    zoom: Float
    blur: Float

    def scaled(self, factor: float) -> "Path":
        """The same move seen ``factor`` times as fast: a layer nearer or farther away (parallax)."""
        x = self.x[0] + (self.x - self.x[0]) * np.float32(factor)
        y = self.y[0] + (self.y - self.y[0]) * np.float32(factor)
        return Path(x, y, self.zoom, self.blur)


def camera(rng: np.random.Generator, num_frames: int, speed: float = 1.0, blur: float = 0.0) -> Path:
    """A hand-held, panning, zooming or still camera.

    Args:
        rng: source of randomness.
        num_frames: length.
        speed: multiplies pan, shake and zoom; 0 gives a tripod.
        blur: defocus in px.
    """
    t = np.arange(num_frames, dtype=np.float32)
    style = rng.random()
    pan = np.zeros(2) if style < 0.2 else rng.normal(0, 1, 2) * rng.choice([0.3, 1.0, 2.5]) * speed
    ease = t + 0.25 * np.sin(t * rng.uniform(0.05, 0.3)) * rng.uniform(0, 6)
    shake_size = (0.0 if rng.random() < 0.4 else rng.uniform(0.1, 0.8)) * speed
    steps = rng.normal(0, 1, (2, num_frames)).cumsum(axis=1)
    shake = shake_size * (steps - 0.6 * np.roll(steps, 1, axis=1)) * 0.7
    shake[:, 0] = 0.0
    start = rng.uniform(0, 4096, 2)
    rate = 0.0 if rng.random() < 0.55 else rng.normal(0, 0.004) * speed
    zoom = rng.uniform(0.85, 1.5) * np.exp(rate * t)
    x = start[0] + pan[0] * ease + shake[0]
    y = start[1] + 0.5 * pan[1] * ease + shake[1]
    blurs = np.full(num_frames, blur)
    if blur > 0 and rng.random() < 0.3:
        blurs = blur * (0.5 + 0.5 * np.cos(t * rng.uniform(0.05, 0.2)))
    return Path(*(np.asarray(a, dtype=np.float32) for a in (x, y, zoom, blurs)))


def still(num_frames: int, x: float, y: float, zoom: float = 1.0) -> Path:
    """A camera that does not move."""
    ones = np.ones(num_frames, dtype=np.float32)
    return Path(ones * np.float32(x), ones * np.float32(y), ones * np.float32(zoom), ones * np.float32(0))


def shoot_plane(plane: Float, path: Path, width: int, height: int, subsampling: int = 1) -> Float:
    """Films a periodic canvas.

    Args:
        plane: float32 ``h w``, the canvas (of chroma: at half size).
        path: the camera's, in luma px.
        width: of the output frame in luma px.
        height: of the output frame in luma px.
        subsampling: 1 for luma, 2 for chroma.

    Returns:
        float32 ``t h w`` of ``height / subsampling`` by ``width / subsampling``.
    """
    columns, rows = width // subsampling, height // subsampling
    offset_x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * subsampling
    offset_y = (np.arange(rows, dtype=np.float32) - (rows - 1) / 2) * subsampling
    frames = np.empty((len(path.x), rows, columns), dtype=np.float32)
    previous: tuple[float, ...] | None = None
    for index in range(len(path.x)):
        pose = (float(path.x[index]), float(path.y[index]), float(path.zoom[index]), float(path.blur[index]))
        if pose == previous:
            frames[index] = frames[index - 1]
            continue
        previous = pose
        centre_x, centre_y, zoom, blur = pose
        centre_x = centre_x % (plane.shape[1] * subsampling)
        centre_y = centre_y % (plane.shape[0] * subsampling)
        across = (centre_x + offset_x * zoom) / subsampling - (subsampling - 1) / (2 * subsampling)
        down = (centre_y + offset_y * zoom) / subsampling - (subsampling - 1) / (2 * subsampling)
        wx, left, span_x = matrix(across, zoom, blur / subsampling, plane.shape[1])
        wy, top, span_y = matrix(down, zoom, blur / subsampling, plane.shape[0])
        np.matmul(wy @ take_wrapped(plane, top, span_y, left, span_x), wx.T, out=frames[index])
    return frames


def shoot(canvas: Planes, path: Path, shape: Shape) -> Planes:
    """Films a canvas in colour; see ``shoot_plane``."""
    return Planes(
        shoot_plane(canvas.y, path, shape.width, shape.height),
        shoot_plane(canvas.u, path, shape.width, shape.height, 2),
        shoot_plane(canvas.v, path, shape.width, shape.height, 2),
    )


def resize(frames: Float, width: int, height: int) -> Float:
    """Scales frames with an antialiased bicubic kernel, edges repeated.

    Args:
        frames: float32 ``t h w``.
        width: wanted, in px.
        height: wanted, in px.

    Returns:
        float32 ``t height width``.
    """
    if frames.shape[1:] == (height, width):
        return frames
    scaled: Float = np.matmul(_bounded(frames.shape[1], height) @ frames, _bounded(frames.shape[2], width).T)
    return scaled


def blur(frames: Float, sigma: float) -> Float:
    """A Gaussian blur, edges repeated; ``sigma`` in px."""
    if sigma <= 0:
        return frames
    rows, columns = frames.shape[-2:]
    blurred: Float = np.matmul(_bounded(rows, rows, sigma) @ frames, _bounded(columns, columns, sigma).T)
    return blurred


def _bounded(size: int, wanted: int, sigma: float = 0.0) -> Float:
    """A resampling matrix ``(wanted, size)`` whose ends repeat the outermost pixel."""
    centres = ((np.arange(wanted) + 0.5) * size / wanted - 0.5).astype(np.float32)
    weights, start, span = matrix(centres, size / wanted, sigma, size)
    folded = np.zeros((wanted, size), dtype=np.float32)
    indices = np.clip(np.arange(start, start + span), 0, size - 1)
    np.add.at(folded.T, indices, weights.T)
    return folded


def box_of(sequence: Sequence[float], low: int, high: int) -> tuple[int, int]:
    """The integer range, cut to ``low … high``, that covers the numbers of ``sequence``."""
    return max(low, int(np.floor(min(sequence)))), min(high, int(np.ceil(max(sequence))) + 1)
