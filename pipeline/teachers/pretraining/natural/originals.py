"""What makes an original one of many kinds: light that changes, dark scenes, black bars, grain of any strength or none.

Real footage is often much flatter than a photograph with its sensor's noise, and as often noisier. An original that
was encoded before and scaled down is neither; ``natural/examples.py`` makes those.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.synthesis.planes import Float, Planes

_GRAINY, _DARK, _CHANGING, _BARS = 0.5, 0.15, 0.3, 0.05
_GRAIN = (0.3, 5.0)


def finish(rng: np.random.Generator, video: Planes) -> Planes:
    """Exposes, lights and grains an original, in place.

    Args:
        rng: decides everything.
        video: luma on 0 … 1; ``t h w``.

    Returns:
        ``video``.
    """
    _expose(rng, video)
    if rng.random() < _CHANGING:
        video.y *= _light(rng, video.y.shape)
    if rng.random() < _GRAINY:
        _grain(rng, video, float(np.exp(rng.uniform(*np.log(_GRAIN)))) / 219)
    if rng.random() < _BARS:
        _bars(rng, video)
    return video


def _expose(rng: np.random.Generator, video: Planes) -> None:
    """Another gamma and contrast; some scenes are dark, and dark pictures have little colour."""
    dark = rng.random() < _DARK
    gain = rng.uniform(0.2, 0.6) if dark else rng.uniform(0.75, 1.05)
    gamma = np.exp(rng.normal(0, 0.15))
    np.power(np.clip(video.y, 0, 1), np.float32(gamma), out=video.y)
    video.y *= np.float32(gain)
    video.y += np.float32(0.0 if dark else rng.uniform(0, 0.95 - gain) if gain < 0.95 else 0.0)
    saturation = np.float32(gain * rng.uniform(0.6, 1.2) if rng.random() > 0.05 else 0.0)
    video.u *= saturation
    video.v *= saturation


def _light(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """A factor of luma that drifts, flickers, or passes over the picture; broadcasts to ``t h w``."""
    num_frames, rows, columns = shape
    time = np.arange(num_frames, dtype=np.float32)
    kind = rng.random()
    if kind < 0.5:
        drift = rng.normal(0, 0.2) * time / num_frames
        return (1 + drift + 0.05 * np.sin(time * rng.uniform(0.05, 1.0)))[:, None, None].astype(np.float32)
    if kind < 0.65:
        return (1 + rng.normal(0, 0.04, num_frames))[:, None, None].astype(np.float32)
    angle, speed, width = rng.uniform(0, 2 * np.pi), rng.normal(0, 3), rng.uniform(0.1, 0.6) * columns
    across = np.cos(angle) * np.arange(columns)[None, None] + np.sin(angle) * np.arange(rows)[None, :, None]
    shade = np.tanh((across - rng.uniform(0, 1) * columns - speed * time[:, None, None]) / width)
    return (1 + rng.uniform(0.1, 0.35) * shade).astype(np.float32)


def _grain(rng: np.random.Generator, video: Planes, deviation: float) -> None:
    """Noise of the sensor, or of film, which is coarser; more of it where the picture is dark or bright, or alike."""
    blur = rng.uniform(0.4, 0.9) if rng.random() < 0.4 else 0.0
    where = float(rng.uniform(-0.6, 0.6))
    share = float(rng.choice([0.0, 0.5]))
    for plane, strength in ((video.y, deviation), (video.u, share * deviation), (video.v, share * deviation)):
        if strength == 0:
            continue
        for index in range(len(plane)):
            noise = rng.standard_normal(plane.shape[1:], dtype=np.float32)
            if blur:
                noise = gaussian_filter(noise, blur, mode="wrap")
                noise /= noise.std()
            if plane is video.y:
                noise *= 1 + np.float32(where) * (2 * plane[index] - 1)
            plane[index] += np.float32(strength) * noise


def _bars(rng: np.random.Generator, video: Planes) -> None:
    """Black bars above and below, or at the sides."""
    rows, columns = video.y.shape[1:]
    wide = rng.random() < 0.7
    bar = 2 * int((rows if wide else columns) * rng.uniform(0.04, 0.13) / 2)
    for plane, size in ((video.y, bar), (video.u, bar // 2), (video.v, bar // 2)):
        if size:
            view = plane if wide else plane.swapaxes(1, 2)
            view[:, :size] = 0
            view[:, -size:] = 0
