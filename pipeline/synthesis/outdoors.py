"""Families of sources: landscapes, textured surfaces, skies, vegetation."""

import numpy as np

from pipeline.synthesis.planes import Float, Planes, Shape, halve
from pipeline.synthesis.resampling import camera, resize, shoot, shoot_plane
from pipeline.synthesis.textures import bend, colour, composite, dead_leaves, fine_detail, spectral, tone


def ground(rng: np.random.Generator, shape: Shape) -> Planes:
    """A textured plane (rock, bark, sand, wall) under a moving camera."""
    stretch = rng.choice([1.0, 1.0, 2.0, 4.0])
    field = spectral(rng, rng.uniform(0.7, 1.5), stretch=stretch, angle=rng.uniform(0, np.pi))
    if rng.random() < 0.6:
        field = bend(rng, field)
    return shoot(colour(rng, tone(rng, field)), camera(rng, shape.num_frames), shape)


def leaves(rng: np.random.Generator, shape: Shape) -> Planes:
    """A static pile of occluding shapes under a moving camera."""
    canvas = dead_leaves(rng, int(rng.choice([200, 400, 800])))
    return shoot(canvas, camera(rng, shape.num_frames), shape)


def clouds(rng: np.random.Generator, shape: Shape) -> Planes:
    """Soft clouds that drift and change over a sky gradient."""
    path = camera(rng, shape.num_frames, speed=0.6)
    slope = rng.uniform(1.0, 1.5)
    first = shoot_plane(spectral(rng, slope, stretch=1.6), path, shape.width, shape.height)
    second = shoot_plane(spectral(rng, slope), path.scaled(1.7), shape.width, shape.height)
    cover = 1 / (1 + np.exp(-(first + second * 0.7 - rng.uniform(-1, 1)) * rng.uniform(0.8, 2.5)))
    down = np.linspace(0, 1, shape.height, dtype=np.float32)[None, :, None]
    sky = rng.uniform(0.3, 0.55) + rng.uniform(-0.1, 0.3) * down + np.zeros_like(first)
    blue, red = rng.uniform(0.0, 0.22), rng.uniform(-0.14, 0.02)
    ones = np.ones_like(halve(sky))
    light = rng.uniform(0.7, 0.95) - rng.uniform(0, 0.15) * (second + 1)
    below = Planes(sky.astype(np.float32), ones * np.float32(blue), ones * np.float32(red))
    above = Planes(light.astype(np.float32), ones * np.float32(0.01), ones * np.float32(0.0))
    return composite(below, above, cover.astype(np.float32))


def grass(rng: np.random.Generator, shape: Shape) -> Planes:
    """Strands in two layers that sway differently: dense, anisotropic, hard to encode."""
    upright = np.pi / 2 + rng.normal(0, 0.2)
    stretch = rng.uniform(3, 8)
    near = bend(rng, spectral(rng, rng.uniform(0.5, 1.1), stretch=stretch, angle=upright))
    far = spectral(rng, rng.uniform(0.6, 1.1), stretch=stretch, angle=upright + rng.normal(0, 0.25))
    path = camera(rng, shape.num_frames, speed=0.7)
    t = np.arange(shape.num_frames, dtype=np.float32)
    sway = rng.uniform(0.3, 3.0) * np.sin(t * rng.uniform(0.08, 0.4) + rng.uniform(0, 6))
    windy = path.scaled(rng.uniform(1.0, 1.4))
    windy.x += sway.astype(np.float32)
    contrast = rng.uniform(0.08, 0.22)
    below = colour(rng, tone(rng, far, contrast))
    above = colour(rng, tone(rng, near, contrast))
    mask = np.clip(spectral(rng, 0.9, stretch=stretch, angle=upright) * 1.5 + 0.3, 0, 1)
    sheet = shoot_plane(mask.astype(np.float32), windy, shape.width, shape.height)
    return composite(shoot(below, path, shape), shoot(above, windy, shape), np.clip(sheet, 0, 1))


def foliage(rng: np.random.Generator, shape: Shape) -> Planes:
    """Layers of leaves against the light, each moving in its own wind."""
    path = camera(rng, shape.num_frames, speed=0.7)
    video = clouds(rng, shape) if rng.random() < 0.5 else shoot(colour(rng, tone(rng, spectral(rng, 1.6))), path, shape)
    t = np.arange(shape.num_frames, dtype=np.float32)
    for layer in range(2):
        pile = dead_leaves(rng, 300)
        holes = spectral(rng, rng.uniform(0.9, 1.3))
        windy = path.scaled(1.0 + 0.25 * layer)
        windy.x += (rng.uniform(0, 2) * np.sin(t * rng.uniform(0.1, 0.5))).astype(np.float32)
        windy.y += (rng.uniform(0, 1) * np.sin(t * rng.uniform(0.1, 0.5))).astype(np.float32)
        mask = shoot_plane(holes, windy, shape.width, shape.height)
        mask = np.clip((mask - rng.uniform(-0.3, 0.6)) * rng.uniform(2, 8), 0, 1)
        video = composite(video, shoot(pile, windy, shape), mask)
    return video


def hills(rng: np.random.Generator, shape: Shape) -> Planes:
    """Ridges in parallax below a sky: haze, mid textures, a smooth half and a busy half."""
    path = camera(rng, shape.num_frames, speed=1.2)
    path.zoom[:] = path.zoom[0]
    video = clouds(rng, shape)
    rows = np.arange(shape.height, dtype=np.float32)[:, None]
    num_ridges = int(rng.integers(2, 5))
    for ridge in range(num_ridges):
        nearness = (ridge + 1) / num_ridges
        layer = path.scaled(0.2 + nearness)
        field = spectral(rng, rng.uniform(0.8, 1.3))
        canvas = colour(rng, tone(rng, bend(rng, field), 0.05 + 0.15 * nearness))
        crest = _crest(rng, shape, layer.x) * shape.height * 0.12
        base = shape.height * (0.25 + 0.6 * nearness) - (layer.y - layer.y[0])[:, None]
        mask = np.clip(rows[None] - (base + crest)[:, None, :], 0, 1).astype(np.float32)
        video = composite(video, shoot(canvas, layer, shape), mask)
    return video


def _crest(rng: np.random.Generator, shape: Shape, x: Float) -> Float:
    """A ridge line, ``t w``, that moves with the camera's ``x``."""
    columns = np.arange(shape.width, dtype=np.float32)[None] + (x - x[0])[:, None]
    line = np.zeros_like(columns)
    for octave in range(1, 7):
        line += np.sin(columns * 0.01 * 1.9**octave + rng.uniform(0, 6)) / 1.7**octave
    return line.astype(np.float32)


def spin(rng: np.random.Generator, shape: Shape) -> Planes:
    """A rotating, breathing textured plane: motion that block matching follows badly."""
    canvas = (
        dead_leaves(rng, 300) if rng.random() < 0.5 else colour(rng, tone(rng, spectral(rng, rng.uniform(0.8, 1.3))))
    )
    rate = rng.choice([-1, 1]) * rng.uniform(0.003, 0.04)
    breath = rng.uniform(0, 0.006)
    centre = rng.uniform(-0.3, 0.3, 2)
    planes = []
    for plane, step in ((canvas.y, 1), (canvas.u, 2), (canvas.v, 2)):
        width, height = shape.width // step, shape.height // step
        # Drawn twice as fine and then averaged, since bilinear reading alone would soften by a changing amount.
        across = (np.arange(2 * width, dtype=np.float32) / 2 - width * (0.5 + centre[0]))[None]
        down = (np.arange(2 * height, dtype=np.float32) / 2 - height * (0.5 + centre[1]))[:, None]
        frames = np.empty((shape.num_frames, height, width), dtype=np.float32)
        for index in range(shape.num_frames):
            scale = np.exp(breath * index)
            cos, sin = np.float32(np.cos(rate * index) * scale), np.float32(np.sin(rate * index) * scale)
            frames[index] = halve(_bilinear(plane, cos * down - sin * across, cos * across + sin * down))
        planes.append(frames)
    return Planes(*planes)


def _bilinear(plane: Float, row: Float, column: Float) -> Float:
    """Reads a periodic canvas at fractional places."""
    top, left = np.floor(row), np.floor(column)
    dy, dx = row - top, column - left
    rows, columns = plane.shape
    r0, c0 = top.astype(np.int32) % rows, left.astype(np.int32) % columns
    r1, c1 = (r0 + 1) % rows, (c0 + 1) % columns
    flat = plane.ravel()
    r0 *= columns
    r1 *= columns
    upper = flat[r0 + c0] * (1 - dx) + flat[r0 + c1] * dx
    lower = flat[r1 + c0] * (1 - dx) + flat[r1 + c1] * dx
    return upper * (1 - dy) + lower * dy


def mist(rng: np.random.Generator, shape: Shape) -> Planes:
    """Slow gradients as of sky, skin or studio walls, faintly textured."""
    size = (48, 80)
    slow = [spectral(rng, rng.uniform(1.5, 2.5), size) for _ in range(3)]
    t = np.linspace(0, rng.uniform(0.1, 1.0), shape.num_frames, dtype=np.float32)[:, None, None]
    moving = resize(slow[0] + t * slow[1] * 0.5, shape.width, shape.height)
    wall = fine_detail(rng, np.zeros((shape.height, shape.width), dtype=np.float32))
    y = rng.uniform(0.25, 0.75) + rng.uniform(0.02, 0.12) * moving + wall
    tint = rng.normal(0, 0.08, 2)
    hue = resize((slow[2] + t * slow[1] * 0.3), shape.width // 2, shape.height // 2) * np.float32(rng.uniform(0, 0.04))
    return Planes(y.astype(np.float32), hue + np.float32(tint[0]), np.float32(tint[1]) - hue)
