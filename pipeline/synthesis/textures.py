"""Still canvases: spectral noise, dead leaves, strands, pages of glyphs. Periodic, so that a camera may roam."""

import numpy as np
import scipy.fft

from pipeline.synthesis.planes import Float, Planes, halve

CANVAS = (384, 640)
"""Rows and columns of a canvas in luma px; both even."""
_DETAIL = 0.03


def spectral(
    rng: np.random.Generator,
    slope: float,
    size: tuple[int, int] = CANVAS,
    stretch: float = 1.0,
    angle: float = 0.0,
    low_cut: float = 0.0,
) -> Float:
    """Gaussian noise whose amplitude spectrum falls as ``1/f^slope``.

    Args:
        rng: source of randomness.
        slope: about 1 for natural scenes, 0 for white noise, 2 for clouds.
        size: rows and columns.
        stretch: above 1 makes the structure longer along ``angle``.
        angle: direction of the strands, radians.
        low_cut: frequencies below it (in cycles per px) are removed.

    Returns:
        float32 of ``size``, mean 0 and standard deviation 1.
    """
    rows, columns = size
    fy = np.fft.fftfreq(rows).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(columns).astype(np.float32)[None, :]
    along = fx * np.float32(np.cos(angle)) + fy * np.float32(np.sin(angle))
    across = fy * np.float32(np.cos(angle)) - fx * np.float32(np.sin(angle))
    frequency = np.sqrt((along * stretch) ** 2 + across**2)
    # Floored at three cycles per canvas: what is lower would only tint the whole frame.
    amplitude = np.maximum(frequency, np.float32(3.0 / columns)) ** np.float32(-slope)
    if low_cut > 0:
        amplitude = amplitude * (1 - np.exp(-((frequency / low_cut) ** 2)))
    amplitude[0, 0] = 0
    noise = rng.standard_normal((2, rows, columns // 2 + 1), dtype=np.float32)
    spectrum = (noise[0] + 1j * noise[1]).astype(np.complex64) * amplitude
    field = scipy.fft.irfft2(spectrum, s=size).astype(np.float32)
    return field / max(float(field.std()), 1e-9)


def bend(rng: np.random.Generator, field: Float) -> Float:
    """Makes a Gaussian field non-Gaussian in one of several ways: ridges, plateaus, exponentials, terraces."""
    style = rng.integers(6)
    if style == 0:
        bent = np.abs(field)
    elif style == 1:
        bent = np.tanh(field * rng.uniform(1, 4))
    elif style == 2:
        bent = np.exp(field * rng.uniform(0.3, 0.9))
    elif style == 3:
        steps = rng.uniform(1.0, 4.0)
        bent = np.floor(field * steps) / steps + 0.2 * field
    elif style == 4:
        bent = np.sin(field * rng.uniform(1.5, 6.0)) + 0.3 * field
    else:
        bent = field
    bent = bent - bent.mean()
    return (bent / max(float(bent.std()), 1e-9)).astype(np.float32)


def fine_detail(rng: np.random.Generator, luma: Float) -> Float:
    """Adds what every surface of the real world has when seen in focus: 1/f texture, here of one strength for all."""
    return luma + np.float32(_DETAIL) * spectral(rng, 1.0, (luma.shape[0], luma.shape[1]), low_cut=0.04)


def colour(rng: np.random.Generator, luma: Float, saturation: float = 1.0) -> Planes:
    """Adds fine detail and plausible colour: a tint, slow variation of hue, and some of the luma's own structure.

    Args:
        rng: source of randomness.
        luma: float32 ``h w`` on 0 … 1.
        saturation: 0 gives grey.
    """
    luma = fine_detail(rng, luma)
    small = halve(luma)
    centred = small - small.mean()
    strength = saturation * rng.choice([0.2, 0.5, 1.0])
    planes = []
    for _ in range(2):
        slow = spectral(rng, rng.uniform(1.3, 2.2), (small.shape[0], small.shape[1]))
        plane = rng.normal(0, 0.07) + rng.uniform(0, 0.05) * slow + rng.normal(0, 0.2) * centred
        planes.append(np.clip(plane * strength, -0.4, 0.4).astype(np.float32))
    return Planes(luma, planes[0], planes[1])


def tone(rng: np.random.Generator, field: Float, contrast: float | None = None) -> Float:
    """Brings a field of standard deviation 1 to luma on 0 … 1 with random exposure, bent softly at both ends.

    Most fields get a contrast that differs from place to place, down to none: natural scenes have flat regions beside
    busy ones.
    """
    if rng.random() < 0.65:
        size = (field.shape[0], field.shape[1])
        place = (spectral(rng, rng.uniform(1.4, 2.2), size) - rng.uniform(-0.8, 1.0)) * rng.uniform(1.5, 8.0)
        slow = spectral(rng, rng.uniform(1.8, 2.6), size)
        field = rng.uniform(0.3, 0.9) * slow + field / (1 + np.exp(-place))
    if contrast is None:
        contrast = rng.choice([0.08, 0.14, 0.2, 0.26]) * rng.uniform(0.7, 1.3)
    value = rng.uniform(0.28, 0.62) + contrast * field
    return (0.5 + 0.5 * np.tanh((value - 0.5) * 2.2) / np.tanh(1.1)).astype(np.float32)


def dead_leaves(rng: np.random.Generator, num_shapes: int, size: tuple[int, int] = CANVAS) -> Planes:
    """Overlapping shapes with sizes by a power law: occlusion, edges and scale invariance of natural scenes.

    Ref: Lee, Mumford, Huang: Occlusion models for natural images (2001); here periodic, textured, of two shapes.
    """
    rows, columns = size
    texture = spectral(rng, rng.uniform(0.8, 1.4), size)
    y = tone(rng, bend(rng, spectral(rng, rng.uniform(1.0, 1.7), size)))
    u = np.full(size, rng.normal(0, 0.03), dtype=np.float32)
    v = np.full(size, rng.normal(0, 0.03), dtype=np.float32)
    radii = rng.uniform(4, 8) * (1 - rng.random(num_shapes) * 0.995) ** -0.5
    radii = np.sort(np.minimum(radii, 130))[::-1]
    polygons = rng.random() < 0.4
    roughness = rng.choice([0.0, 0.02, 0.06, 0.12])
    palette = rng.normal(0, 1, (8, 2)) * rng.uniform(0.01, 0.08)
    shades = rng.beta(1.3, 1.3, num_shapes)
    for radius, shade in zip(radii, shades, strict=True):
        reach = int(radius * 1.5) + 2
        span = min(2 * reach, rows, columns)
        axis = (np.arange(span, dtype=np.float32) - span / 2 + 0.5)[None, :]
        turn, aspect = rng.uniform(0, np.pi), rng.uniform(0.5, 1.0)
        across = axis * np.float32(np.cos(turn)) + axis.T * np.float32(np.sin(turn))
        down = (axis.T * np.float32(np.cos(turn)) - axis * np.float32(np.sin(turn))) / np.float32(aspect)
        distance = np.maximum(np.abs(across), np.abs(down)) if polygons else np.hypot(across, down)
        mask = np.clip(np.float32(radius) - distance, 0, 1)
        cx, cy = rng.integers(columns), rng.integers(rows)
        where = np.ix_(np.arange(cy, cy + span) % rows, np.arange(cx, cx + span) % columns)
        light = np.float32(shade) + np.float32(rng.normal(0, 0.1) / radius) * across
        skin_y, skin_x = rng.integers(rows - span + 1), rng.integers(columns - span + 1)
        strength = roughness * rng.uniform(0.2, 1.5)
        light += np.float32(strength) * texture[skin_y : skin_y + span, skin_x : skin_x + span]
        y[where] += mask * (light - y[where])
        hue = palette[rng.integers(8)]
        u[where] += mask * (np.float32(hue[0]) - u[where])
        v[where] += mask * (np.float32(hue[1]) - v[where])
    return Planes(fine_detail(rng, np.clip(y, 0, 1)), halve(u), halve(v))


def glyphs(rng: np.random.Generator, count: int, height: int, width: int, weight: int) -> Float:
    """Invented letters, each some strokes on a ``height`` by ``width`` cell.

    Returns:
        float32 ``count height width`` on 0 … 1, ink is 1.
    """
    letters = np.zeros((count, height, width), dtype=np.float32)
    for letter in letters:
        for _ in range(rng.integers(2, 5)):
            kind = rng.integers(4)
            row, column = rng.integers(0, max(1, height - weight)), rng.integers(0, max(1, width - weight))
            if kind == 0:
                letter[:, column : column + weight] = 1
            elif kind == 1:
                letter[row : row + weight, :] = 1
            elif kind == 2:
                half = height // 2
                part = slice(0, half) if rng.random() < 0.5 else slice(half, height)
                letter[part, column : column + weight] = 1
            else:
                steps = np.linspace(0, 1, 2 * height)
                rows = (steps * (height - 1)).astype(int)
                columns = (steps * (width - weight)).astype(int)
                if rng.random() < 0.5:
                    columns = columns[::-1]
                for shift in range(weight):
                    letter[rows, np.minimum(columns + shift, width - 1)] = 1
    return letters


def page(rng: np.random.Generator, size: tuple[int, int] = CANVAS) -> Planes:
    """A page of text in invented letters: columns, headings, paragraphs, pictures, light or dark."""
    rows, columns = size
    ink = np.zeros(size, dtype=np.float32)
    row = int(rng.integers(2, 12))
    while row < rows - 12:
        heading = rng.random() < 0.15
        height = int(rng.integers(12, 26) if heading else rng.integers(6, 13))
        width = max(4, int(height * rng.uniform(0.5, 0.75)))
        letters = glyphs(rng, 24, height, width, max(1, round(height / (5 if heading else 7))))
        for _ in range(int(rng.integers(1, 2 if heading else 6))):
            if row + height >= rows:
                break
            column = int(rng.integers(4, 30))
            end = int(rng.uniform(0.4, 1.0) * columns)
            while column + width < end:
                if rng.random() < 0.84:
                    ink[row : row + height, column : column + width] = letters[rng.integers(24)]
                column += width + max(1, width // 4)
            row += int(height * 1.45)
        row += int(rng.integers(2, 14))
    paper, text = (rng.uniform(0.75, 1.0), rng.uniform(0, 0.3))
    if rng.random() < 0.35:
        paper, text = text, paper
    y = (paper + (text - paper) * ink).astype(np.float32)
    u = np.full(size, rng.normal(0, 0.04), dtype=np.float32)
    v = np.full(size, rng.normal(0, 0.04), dtype=np.float32)
    for _ in range(int(rng.integers(0, 5))):
        height, width = int(rng.integers(30, 140)), int(rng.integers(40, 220))
        top, left = int(rng.integers(0, rows - height)), int(rng.integers(0, columns - width))
        box = (slice(top, top + height), slice(left, left + width))
        flat = rng.random() < 0.5
        y[box] = rng.uniform(0.1, 0.9) if flat else tone(rng, spectral(rng, rng.uniform(0.9, 1.5), (height, width)))
        u[box] += rng.normal(0, 0.12)
        v[box] += rng.normal(0, 0.12)
    return Planes(fine_detail(rng, y), halve(u), halve(v))


def composite(below: Planes, above: Planes, mask: Float) -> Planes:
    """Lays one picture over another; ``mask`` float32 ``[t] h w`` is 1 where ``above`` is seen."""
    small = halve(mask)
    return Planes(
        below.y + mask * (above.y - below.y),
        below.u + small * (above.u - below.u),
        below.v + small * (above.v - below.v),
    )
