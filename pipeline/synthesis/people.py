"""Families of sources: faces, depth of field, night, still life."""

import numpy as np

from pipeline.synthesis.planes import Float, Planes, Shape, halve
from pipeline.synthesis.resampling import blur, camera, shoot, shoot_plane, still
from pipeline.synthesis.textures import CANVAS, colour, composite, dead_leaves, fine_detail, spectral, tone


def portrait(rng: np.random.Generator, shape: Shape) -> Planes:
    """A head and shoulders that speaks and nods before a slightly defocused room: skin-like shading, hair, eyes."""
    canvas = dead_leaves(rng, 120) if rng.random() < 0.5 else colour(rng, tone(rng, spectral(rng, 1.6)))
    room = camera(rng, shape.num_frames, speed=0.2, blur=float(rng.uniform(0.4, 1.0)))
    video = shoot(canvas, room, shape)
    t = np.arange(shape.num_frames, dtype=np.float32)
    size = shape.height * rng.uniform(0.28, 0.48)
    x = shape.width * rng.uniform(0.3, 0.7) + rng.uniform(0, 6) * np.sin(t * rng.uniform(0.03, 0.2))
    y = shape.height * rng.uniform(0.4, 0.55) + rng.uniform(0, 4) * np.sin(t * rng.uniform(0.03, 0.25))
    pores = spectral(rng, rng.uniform(0.5, 1.0)) * np.float32(rng.uniform(0.004, 0.02))
    hair = spectral(rng, 0.8, stretch=6.0, angle=np.pi / 2 + rng.normal(0, 0.3)) * np.float32(rng.uniform(0.03, 0.12))
    cloth = spectral(rng, rng.uniform(0.5, 1.3), stretch=rng.uniform(1, 4)) * np.float32(rng.uniform(0.02, 0.1))
    skin, dark, coat = rng.uniform(0.3, 0.75), rng.uniform(0.05, 0.5), rng.uniform(0.1, 0.8)
    coat_hue = rng.normal(0, 0.1, 2)
    light = rng.uniform(-0.12, 0.12)
    talk = rng.uniform(0, 1) * (0.5 + 0.5 * np.sin(t * rng.uniform(0.2, 1.0)))
    for index in range(shape.num_frames):
        dx = ((np.arange(shape.width, dtype=np.float32) - x[index]) / np.float32(size))[None]
        dy = ((np.arange(shape.height, dtype=np.float32) - y[index]) / np.float32(size))[:, None]
        edge = np.float32(size * 0.5)
        shift = (int(y[index]), int(x[index]))

        def moving(texture: Float, shift: tuple[int, int] = shift) -> Float:
            return np.roll(texture, shift, axis=(0, 1))[: shape.height, : shape.width]

        body = np.clip((dy - 0.95 - 0.5 * dx * dx) * edge, 0, 1)
        _paint(video, index, body, coat + moving(cloth), coat_hue[0], coat_hue[1])
        crown = np.clip((1.12 - np.hypot(dx * 1.2, (dy + 0.08) * 0.95)) * edge, 0, 1)
        _paint(video, index, crown, dark + moving(hair), -0.02, 0.03)
        oval = np.clip((1 - np.hypot(dx * 1.45, dy * 1.02 - 0.08)) * edge * 0.6, 0, 1)
        shading = skin * (1 - 0.35 * (dx * dx + 0.5 * dy * dy)) + light * dx
        for side in (-0.28, 0.28):
            shading = shading - 0.3 * np.exp(-(((dx - side) / 0.11) ** 2) - ((dy + 0.12) / 0.06) ** 2)
        mouth = 0.05 + 0.08 * talk[index]
        shading = shading - 0.2 * np.exp(-((dx / 0.2) ** 2) - ((dy - 0.5) / mouth) ** 2)
        shading = shading + 0.08 * np.exp(-((dx / 0.08) ** 2) - ((dy - 0.15) / 0.2) ** 2)
        _paint(video, index, oval, shading + moving(pores), -0.07, 0.1)
    return video


def _paint(video: Planes, index: int, mask: Float, luma: Float, u: float, v: float) -> None:
    video.y[index] += mask * (luma - video.y[index])
    small = halve(mask.astype(np.float32))
    video.u[index] += small * (np.float32(u) - video.u[index])
    video.v[index] += small * (np.float32(v) - video.v[index])


def bokeh(rng: np.random.Generator, shape: Shape) -> Planes:
    """Depth of field: a slightly blurred far layer with discs of light, one sharp near layer."""
    far = colour(rng, np.clip(tone(rng, spectral(rng, rng.uniform(1.3, 2.0)), 0.1) * 0.7, 0, 1))
    rows, columns = CANVAS
    grid_y, grid_x = np.arange(rows, dtype=np.float32)[:, None], np.arange(columns, dtype=np.float32)[None]
    for _ in range(int(rng.integers(5, 40))):
        radius = rng.uniform(4, 24)
        disc = np.clip(radius - np.hypot(grid_y - rng.uniform(0, rows), grid_x - rng.uniform(0, columns)), 0, 1)
        disc *= np.float32(rng.uniform(0.1, 0.5))
        far.y += disc
        small = halve(disc)
        hue = rng.normal(0, 0.2, 2)
        far.u += small * np.float32(hue[0])
        far.v += small * np.float32(hue[1])
    path = camera(rng, shape.num_frames, speed=0.7)
    hazy = path.scaled(0.4)
    hazy.blur = hazy.blur + np.float32(rng.uniform(0.4, 1.0))
    video = shoot(far, hazy, shape)
    near = dead_leaves(rng, 200) if rng.random() < 0.5 else colour(rng, tone(rng, spectral(rng, rng.uniform(0.9, 1.3))))
    holes = shoot_plane(spectral(rng, 1.7), path, shape.width, shape.height)
    mask = np.clip((holes - rng.uniform(0.2, 1.2)) * rng.uniform(2, 8), 0, 1)
    return composite(video, shoot(near, path, shape), mask)


def night(rng: np.random.Generator, shape: Shape) -> Planes:
    """Low light: a dark scene, some lamps with halos, and some more noise."""
    canvas = (
        dead_leaves(rng, 300) if rng.random() < 0.5 else colour(rng, tone(rng, spectral(rng, rng.uniform(1.0, 1.6))))
    )
    canvas.y = np.clip(canvas.y, 0, 1) ** np.float32(rng.uniform(1.5, 3.0)) * np.float32(rng.uniform(0.25, 0.7))
    rows, columns = CANVAS
    for _ in range(int(rng.integers(0, 12))):
        row, column = int(rng.integers(8, rows - 8)), int(rng.integers(8, columns - 8))
        canvas.y[row - 3 : row + 3, column - 3 : column + 3] += np.float32(rng.uniform(0.4, 1.5))
    lamps = np.maximum(canvas.y - 0.6, 0)
    canvas.y = np.clip(canvas.y + 4 * blur(lamps[None], float(rng.uniform(3, 10)))[0], 0, 1.1)
    video = shoot(canvas, camera(rng, shape.num_frames), shape)
    gain = rng.uniform(0.003, 0.012)
    noise = rng.standard_normal(video.y.shape, dtype=np.float32)
    video.y += noise * np.float32(gain) * np.sqrt(np.clip(video.y, 0.02, 1) * 2)
    small = rng.standard_normal(video.u.shape, dtype=np.float32)
    video.u += np.float32(0.5 * gain) * small
    video.v += np.float32(0.5 * gain) * small[:, ::-1]
    return video


def still_life(rng: np.random.Generator, shape: Shape) -> Planes:
    """Shaded bodies on a table, filmed from a tripod: rounded surfaces, sharp edges, no motion but the light's."""
    table = colour(rng, tone(rng, spectral(rng, rng.uniform(1.0, 1.8), stretch=3.0), 0.08))
    video = shoot(table, still(shape.num_frames, *rng.uniform(0, 600, 2)), shape)
    picture = Planes(video.y[0], video.u[0], video.v[0])
    skin = fine_detail(rng, np.zeros((shape.height, shape.width), dtype=np.float32))
    grid_y = np.arange(shape.height, dtype=np.float32)[:, None]
    grid_x = np.arange(shape.width, dtype=np.float32)[None]
    for _ in range(int(rng.integers(2, 8))):
        radius = rng.uniform(12, 60)
        dy = (grid_y - rng.uniform(0, shape.height)) / radius
        dx = (grid_x - rng.uniform(0, shape.width)) / (radius * rng.uniform(0.5, 1.2))
        distance = np.hypot(dx, dy)
        mask = np.clip((1 - distance) * radius, 0, 1)
        body = rng.uniform(0.2, 0.7) - 0.25 * (dx * 0.5 + dy * 0.8)
        body += 0.4 * np.exp(-((dx + 0.35) ** 2 + (dy + 0.4) ** 2) / rng.uniform(0.01, 0.1))
        picture.y[...] += mask * (body.astype(np.float32) + skin - picture.y)
        small = halve(mask.astype(np.float32))
        hue = rng.normal(0, 0.13, 2)
        picture.u[...] += small * (np.float32(hue[0]) - picture.u)
        picture.v[...] += small * (np.float32(hue[1]) - picture.v)
    t = np.arange(shape.num_frames, dtype=np.float32)
    lamp = 1 + rng.uniform(0, 0.08) * np.sin(t * rng.uniform(0.05, 1.0))
    return Planes(
        picture.y[None] * lamp[:, None, None].astype(np.float32),
        np.repeat(picture.u[None], shape.num_frames, axis=0),
        np.repeat(picture.v[None], shape.num_frames, axis=0),
    )
