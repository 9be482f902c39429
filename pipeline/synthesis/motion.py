"""Families of sources whose content itself moves: water, fire, snow, objects, players, machines."""

import numpy as np
import scipy.fft

from pipeline.synthesis.planes import Float, Planes, Shape, halve
from pipeline.synthesis.resampling import box_of, camera, resize, shoot, shoot_plane, still
from pipeline.synthesis.textures import bend, colour, composite, dead_leaves, spectral, tone


def water(rng: np.random.Generator, shape: Shape) -> Planes:
    """Waves by their dispersion relation, with glitter: moving everywhere, in no single direction."""
    rows, columns = shape.height, shape.width
    fy, fx = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None]
    squeeze = rng.uniform(1.0, 3.0)
    frequency = np.sqrt(fx**2 + (fy / squeeze) ** 2)
    amplitude = np.maximum(frequency, 4 / columns) ** -rng.uniform(1.1, 1.5)
    wind = rng.uniform(0, np.pi)
    facing = (fx * np.cos(wind) + fy * np.sin(wind)) / np.maximum(frequency, 1e-6)
    amplitude *= 0.25 + facing**2
    amplitude[0, 0] = 0
    noise = rng.standard_normal((2, *frequency.shape), dtype=np.float32)
    start = ((noise[0] + 1j * noise[1]) * amplitude).astype(np.complex64)
    turn = np.exp(1j * np.sqrt(frequency) * rng.uniform(0.2, 1.5) * np.sign(facing + 1e-3)).astype(np.complex64)
    field = np.empty((shape.num_frames, rows, columns), dtype=np.float32)
    for index in range(shape.num_frames):
        field[index] = scipy.fft.irfft2(start, s=(rows, columns))
        start *= turn
    field /= field[0].std()
    contrast = rng.uniform(0.06, 0.2)
    y = rng.uniform(0.25, 0.5) + contrast * field
    if rng.random() < 0.7:
        y += rng.uniform(0.1, 0.35) * np.maximum(field - rng.uniform(0.8, 2.0), 0)
    tint = rng.normal(0, 0.06, 2) + np.array([0.05, -0.04])
    small = halve(field) * np.float32(rng.uniform(0, 0.02))
    return Planes(y.astype(np.float32), small + np.float32(tint[0]), np.float32(tint[1]) - small)


def fire(rng: np.random.Generator, shape: Shape) -> Planes:
    """Flames, smoke or steam: two noise sheets rising at different speeds, multiplied."""
    sheets = []
    for _ in range(2):
        path = still(shape.num_frames, rng.uniform(0, 600), rng.uniform(0, 600), rng.uniform(0.6, 1.4))
        path.y += (rng.uniform(1, 5) * np.arange(shape.num_frames)).astype(np.float32)
        path.x += (rng.normal(0, 0.7) * np.arange(shape.num_frames)).astype(np.float32)
        field = spectral(rng, rng.uniform(0.9, 1.4), stretch=rng.uniform(1, 2.5), angle=np.pi / 2)
        sheets.append(shoot_plane(field, path, shape.width, shape.height))
    flame = np.clip((sheets[0] + sheets[1]) * 0.35 + rng.uniform(0.1, 0.6), 0, 1.3)
    flame *= np.linspace(rng.uniform(0, 0.7), 1, shape.height, dtype=np.float32)[None, :, None]
    heat = halve(flame)
    if rng.random() < 0.6:
        y = 0.05 + 0.8 * flame**1.4
        return Planes(y.astype(np.float32), -0.2 * heat, 0.28 * heat * (1.2 - heat))
    y = rng.uniform(0.1, 0.4) + 0.5 * flame
    return Planes(y.astype(np.float32), 0.01 * heat, -0.01 * heat)


def snow(rng: np.random.Generator, shape: Shape) -> Planes:
    """Snow, rain, confetti or dust before a scene: many small independent movers."""
    video = _backdrop(rng, shape)
    count = int(rng.choice([80, 250, 600]))
    reach = 3
    place = rng.uniform(0, 1, (count, 2)) * (shape.height, shape.width)
    step = rng.normal(0, 1, (count, 2)) * rng.uniform(0.2, 1.2) + (rng.uniform(0, 5), rng.normal(0, 1))
    size = rng.uniform(0.5, 1.5, count).astype(np.float32)
    light = rng.uniform(0.3, 1, count).astype(np.float32) * np.float32(rng.choice([0.7, 0.7, -0.4]))
    offsets = np.arange(-reach, reach + 1)
    for index in range(shape.num_frames):
        here = (place + step * index) % (shape.height, shape.width)
        base = np.floor(here).astype(int)
        fraction = (here - base).astype(np.float32)
        dy = np.exp(-(((offsets[None] - fraction[:, :1]) / size[:, None]) ** 2)).astype(np.float32)
        dx = np.exp(-(((offsets[None] - fraction[:, 1:]) / size[:, None]) ** 2)).astype(np.float32)
        splat = light[:, None, None] * dy[:, :, None] * dx[:, None, :]
        rows = (base[:, :1] + offsets) % shape.height
        columns = (base[:, 1:] + offsets) % shape.width
        np.add.at(video.y[index], (rows[:, :, None], columns[:, None, :]), splat)
    return video


def objects(rng: np.random.Generator, shape: Shape) -> Planes:
    """Textured bodies that move over a scene and hide one another."""
    video = _backdrop(rng, shape)
    for _ in range(int(rng.integers(2, 7))):
        _pass_through(rng, video, shape, radius=rng.uniform(8, 60), speed=rng.choice([0.5, 2.0, 5.0]))
    return video


def sports(rng: np.random.Generator, shape: Shape) -> Planes:
    """A pitch seen by a panning camera, with many small players and white lines."""
    field = spectral(rng, rng.uniform(0.3, 0.9), stretch=2.0)
    stripes = np.sign(np.sin(np.arange(field.shape[1]) * 2 * np.pi / rng.uniform(60, 200)))[None]
    y = rng.uniform(0.3, 0.5) + rng.uniform(0.01, 0.06) * field + rng.uniform(0, 0.04) * stripes
    for _ in range(3):
        column = int(rng.integers(0, field.shape[1] - 4))
        y[:, column : column + 3] = 0.85
    row = int(rng.integers(0, field.shape[0] - 4))
    y[row : row + 2] = 0.85
    small = halve(y.astype(np.float32))
    hue = rng.uniform(-0.14, 0.0, 2)
    canvas = Planes(y.astype(np.float32), small * 0 + np.float32(hue[0]), small * 0 + np.float32(hue[1]))
    video = shoot(canvas, camera(rng, shape.num_frames, speed=1.2), shape)
    for _ in range(int(rng.integers(6, 16))):
        _pass_through(rng, video, shape, radius=rng.uniform(3, 9), speed=1.5, aspect=0.5)
    return video


def machine(rng: np.random.Generator, shape: Shape) -> Planes:
    """Wheels and bars that turn in place before a still scene: strong motion, static surroundings."""
    ground = colour(rng, tone(rng, bend(rng, spectral(rng, rng.uniform(1.0, 1.7)))))
    video = shoot(ground, still(shape.num_frames, *rng.uniform(0, 600, 2)), shape)
    columns = np.arange(shape.width, dtype=np.float32)[None]
    rows = np.arange(shape.height, dtype=np.float32)[:, None]
    for _ in range(int(rng.integers(1, 5))):
        cy, cx = rng.uniform(0, 1, 2) * (shape.height, shape.width)
        radius = rng.uniform(15, 70)
        distance = np.hypot(rows - cy, columns - cx)
        angle = np.arctan2(rows - cy, columns - cx)
        inside = np.clip(radius - distance, 0, 1).astype(np.float32)
        spokes, rate = int(rng.integers(2, 11)), rng.normal(0, 0.12)
        rings = 0.15 * np.sin(distance / rng.uniform(1.5, 8))
        base, depth, hardness = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.35), rng.uniform(1, 6)
        for index in range(shape.num_frames):
            face = base + rings + depth * np.tanh(hardness * np.sin(spokes * (angle + rate * index)))
            video.y[index] += inside * (face.astype(np.float32) - video.y[index])
    return video


def _backdrop(rng: np.random.Generator, shape: Shape) -> Planes:
    if rng.random() < 0.35:
        canvas = dead_leaves(rng, 250)
    else:
        canvas = colour(rng, tone(rng, bend(rng, spectral(rng, rng.uniform(0.9, 1.8)))))
    return shoot(canvas, camera(rng, shape.num_frames), shape)


def _pass_through(
    rng: np.random.Generator, video: Planes, shape: Shape, radius: float, speed: float, aspect: float | None = None
) -> None:
    """Draws one textured elliptic or rectangular body on its way through the frame, in place."""
    t = np.arange(shape.num_frames, dtype=np.float32)
    across = radius * (aspect or rng.uniform(0.5, 1.0))
    x = rng.uniform(0, shape.width) + rng.normal(0, speed) * t + rng.uniform(0, 2) * np.sin(t * rng.uniform(0.1, 0.6))
    y = rng.uniform(0, shape.height) + rng.normal(0, speed * 0.5) * t
    span = 2 * int(radius + 2)
    skin = spectral(rng, rng.uniform(0.8, 1.6), (max(32, span), max(32, span)))
    shade, contrast = rng.uniform(0.1, 0.9), rng.uniform(0.03, 0.2)
    hue = rng.normal(0, 0.12, 2).astype(np.float32)
    boxy, softness = rng.random() < 0.3, rng.choice([1.0, 1.0, 3.0])
    for index in range(shape.num_frames):
        top, bottom = box_of((y[index] - radius - 2, y[index] + radius + 2), 0, shape.height)
        left, right = box_of((x[index] - across - 2, x[index] + across + 2), 0, shape.width)
        top, left, bottom, right = (top + 1) & ~1, (left + 1) & ~1, bottom & ~1, right & ~1
        if top >= bottom or left >= right:
            continue
        dy = ((np.arange(top, bottom, dtype=np.float32) - y[index]) / np.float32(radius))[:, None]
        dx = ((np.arange(left, right, dtype=np.float32) - x[index]) / np.float32(across))[None]
        distance = np.maximum(np.abs(dx), np.abs(dy)) if boxy else np.hypot(dx, dy)
        mask = np.clip((1 - distance) * np.float32(across / softness), 0, 1)
        rows = (np.arange(top, bottom) - int(y[index])) % len(skin)
        columns = (np.arange(left, right) - int(x[index])) % len(skin)
        face: Float = np.float32(shade) + np.float32(contrast) * (skin[np.ix_(rows, columns)] - dy * 0.7)
        luma = video.y[index, top:bottom, left:right]
        luma += mask * (face - luma)
        small = halve(mask)
        for plane, value in ((video.u, hue[0]), (video.v, hue[1])):
            chroma = plane[index, top // 2 : bottom // 2, left // 2 : right // 2]
            chroma += small * (value - chroma)


def cut(rng: np.random.Generator, shape: Shape) -> Planes:
    """Two scenes with a hard cut or a cross-fade between them."""
    first, second = _backdrop(rng, shape), _backdrop(rng, shape)
    t = np.arange(shape.num_frames, dtype=np.float32)
    length = 1e-3 if rng.random() < 0.5 else rng.uniform(4, 20)
    mix = np.clip((t - rng.uniform(0.25, 0.75) * shape.num_frames) / length, 0, 1)[:, None, None].astype(np.float32)
    full = np.broadcast_to(mix, first.y.shape)
    return composite(first, second, resize(full, shape.width, shape.height))
