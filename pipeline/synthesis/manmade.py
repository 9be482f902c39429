"""Families of sources: what people make: pages, screens, facades, cloth."""

import numpy as np

from pipeline.synthesis.planes import Planes, Shape, halve
from pipeline.synthesis.resampling import camera, shoot, still
from pipeline.synthesis.textures import CANVAS, bend, colour, fine_detail, glyphs, page, spectral, tone


def text(rng: np.random.Generator, shape: Shape) -> Planes:
    """A page of text that scrolls, pans or stands."""
    canvas = page(rng)
    path = still(shape.num_frames, rng.uniform(0, 600), rng.uniform(0, 380), rng.choice([1.0, 1.0, 1.25]))
    step = rng.choice([0, 0.5, 1, 2, 3, rng.uniform(0.2, 4)])
    run = (step * np.arange(shape.num_frames)).astype(np.float32)
    if rng.random() < 0.7:
        path.y += run
    else:
        path.x += run
    return shoot(canvas, path, shape)


def screen(rng: np.random.Generator, shape: Shape) -> Planes:
    """A screen: windows, bars, charts, a moving pointer and a blinking part; mostly static and clean."""
    canvas = page(rng)
    rows, columns = CANVAS
    for _ in range(int(rng.integers(3, 9))):
        height, width = int(rng.integers(20, 150)), int(rng.integers(40, 260))
        top, left = int(rng.integers(0, rows - height)) & ~1, int(rng.integers(0, columns - width)) & ~1
        ramp = np.linspace(0, rng.uniform(-0.3, 0.3), width, dtype=np.float32)[None]
        canvas.y[top : top + height, left : left + width] = np.clip(rng.uniform(0.1, 0.95) + ramp, 0, 1)
        canvas.y[top : top + 2, left : left + width] = rng.uniform(0, 1)
        chroma = (slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2))
        canvas.u[chroma], canvas.v[chroma] = rng.normal(0, 0.15, 2)
        if rng.random() < 0.5:
            line = np.cumsum(rng.normal(0, 2, width)) + height / 2
            points = np.clip(line, 1, height - 3).astype(int) + top
            for thick in range(2):
                canvas.y[points + thick, np.arange(left, left + width)] = rng.uniform(0, 1)
    video = shoot(canvas, still(shape.num_frames, rng.uniform(0, 600), rng.uniform(0, 380)), shape)
    place, step = rng.uniform(20, 120, 2), rng.normal(0, 2.5, 2)
    for index in range(shape.num_frames):
        row, column = (place + step * index).astype(int)
        row, column = int(row) % (shape.height - 12), int(column) % (shape.width - 12)
        video.y[index, row : row + 9, column : column + 6] = np.tri(9, 6, dtype=np.float32)
    return video


def buildings(rng: np.random.Generator, shape: Shape) -> Planes:
    """Facades: grids of windows, each lit or not, some masonry, below a plain sky; straight edges everywhere."""
    rows, columns = CANVAS
    y = np.full(CANVAS, rng.uniform(0.5, 0.9), dtype=np.float32)
    u = np.full(CANVAS, rng.uniform(0, 0.12), dtype=np.float32)
    v = np.full(CANVAS, rng.uniform(-0.1, 0.05), dtype=np.float32)
    masonry = spectral(rng, rng.uniform(0.5, 1.2)) * np.float32(rng.uniform(0.0, 0.05))
    left = 0
    while left < columns:
        width = int(rng.integers(50, 170))
        top = int(rng.integers(0, rows // 2))
        right = min(columns, left + width)
        wall = rng.uniform(0.15, 0.8)
        y[top:, left:right] = wall + masonry[top:, left:right]
        u[top:, left:right], v[top:, left:right] = rng.normal(0, 0.05, 2)
        pitch_x, pitch_y = int(rng.integers(7, 22)), int(rng.integers(8, 24))
        pane_x, pane_y = max(2, int(pitch_x * rng.uniform(0.3, 0.8))), max(2, int(pitch_y * rng.uniform(0.3, 0.8)))
        glass, spread = rng.uniform(0.05, 0.5), rng.uniform(0.02, 0.3)
        for row in range(top + 4, rows - pane_y, pitch_y):
            for column in range(left + 3, right - pane_x, pitch_x):
                shade = np.clip(glass + spread * rng.random(), 0, 1)
                y[row : row + pane_y, column : column + pane_x] = shade
                y[row + pane_y // 2 : row + pane_y, column : column + pane_x] *= 0.92
        left = right
    canvas = Planes(fine_detail(rng, np.clip(y, 0, 1)), halve(u), halve(v))
    return shoot(canvas, camera(rng, shape.num_frames), shape)


def fabric(rng: np.random.Generator, shape: Shape) -> Planes:
    """Weaves, stripes, tiles and nets: regular high frequencies, bent slightly."""
    rows, columns = CANVAS
    warp = spectral(rng, 2.0) * np.float32(rng.uniform(0, 8))
    across = np.arange(columns, dtype=np.float32)[None] + warp
    down = np.arange(rows, dtype=np.float32)[:, None] + warp.T[:rows, :].mean() + np.roll(warp, 60, axis=1)
    field = np.zeros(CANVAS, dtype=np.float32)
    for _ in range(int(rng.integers(1, 4))):
        period = rng.uniform(3.5, 24)
        angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
        wave = np.sin((across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle))) * (2 * np.pi / period))
        field += np.tanh(wave * rng.uniform(0.5, 4)) if rng.random() < 0.6 else wave
    field = field / field.std() + rng.uniform(0, 0.7) * spectral(rng, rng.uniform(0.5, 1.2))
    canvas = colour(rng, tone(rng, field / field.std()))
    return shoot(canvas, camera(rng, shape.num_frames, speed=0.8), shape)


def signs(rng: np.random.Generator, shape: Shape) -> Planes:
    """Lettering on a natural surface: captions, shop signs, number plates."""
    canvas = colour(rng, tone(rng, bend(rng, spectral(rng, rng.uniform(0.9, 1.6)))))
    rows, columns = CANVAS
    for _ in range(int(rng.integers(4, 12))):
        height = int(rng.integers(10, 48))
        width = int(height * rng.uniform(0.5, 0.8))
        count = int(rng.integers(2, 9))
        letters = glyphs(rng, count, height, width, max(1, height // 6))
        top = int(rng.integers(0, rows - height - 8)) & ~1
        left = int(rng.integers(0, max(2, columns - count * (width + 3) - 8))) & ~1
        right = min(columns, left + count * (width + 3) + 8)
        if rng.random() < 0.6:
            canvas.y[top : top + height + 8, left:right] = rng.uniform(0, 1)
            chroma = (slice(top // 2, (top + height + 8) // 2), slice(left // 2, right // 2))
            canvas.u[chroma], canvas.v[chroma] = rng.normal(0, 0.12, 2)
        shade = np.float32(rng.uniform(0, 1))
        for index, letter in enumerate(letters):
            column = left + 4 + index * (width + 3)
            part = canvas.y[top + 4 : top + 4 + height, column : min(column + width, columns)]
            part += letter[:, : part.shape[1]] * (shade - part)
    return shoot(canvas, camera(rng, shape.num_frames), shape)
