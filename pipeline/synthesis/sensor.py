"""A camera for all sources: balanced local contrast at every scale, a common exposure, mild grain.

What compression took away can only be seen without a reference where one knows what was there. Pictures of the real
world have that prior: some detail everywhere, falling as 1/f, in focus, through one optical chain. The families alone
do not: a defocused wall, a fog or a page would each define *pristine* anew. So the last step is the same for all. An
à trous wavelet transform splits luma into octaves; each octave's local contrast is brought to a fixed one, as the local
tone mapping of cameras does; then comes grain of a narrow range of strengths.

Ref: Starck, Murtagh: Astronomical Image and Data Analysis (2006), appendix A, for the transform (B3 spline).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.synthesis.planes import Float, Planes
from pipeline.synthesis.resampling import blur, resize

OCTAVES = (0.018, 0.035, 0.05, 0.055)
"""Local standard deviation of luma (0 … 1), finest octave first: 1/f times the fall-off of lens and sensor."""


@dataclass(frozen=True)
class Camera:
    """How scenes are filmed.

    Attributes:
        balance: 1 brings the local contrast of every octave to the same, 0 leaves what the scene has.
        contrast: factor of everything but the mean.
        exposure: range of the mean luma.
        grain: range of the grain's standard deviation, in 8-bit luma levels.
    """

    balance: float = 1.0
    contrast: float = 1.0
    exposure: tuple[float, float] = (0.4, 0.55)
    grain: tuple[float, float] = (1.5, 2.5)


COMMON = Camera()
_BLOCK_PX = 8
_FLOOR = 0.002
_GAINS = (0.1, 12.0)
_COARSE = 0.2
_SHOULDER = 0.48


def any_camera(rng: np.random.Generator) -> Camera:
    """Draws a camera: any balance, contrast from a misty day's to a common one's and beyond, any grain."""
    return Camera(
        balance=float(rng.uniform(0.0, 1.0)),
        contrast=float(np.exp(rng.uniform(np.log(0.3), np.log(1.3)))),
        exposure=(0.25, 0.75),
        grain=(0.0, float(rng.uniform(0.2, 4.0))),
    )


def film(rng: np.random.Generator, video: Planes, camera: Camera = COMMON) -> Planes:
    """Films a scene, in place.

    Args:
        rng: decides exposure and grain.
        video: the scene; luma may go beyond 0 … 1.
        camera: what films it.

    Returns:
        ``video``, its luma on about 0 … 1.
    """
    *_, rows, columns = video.y.shape
    grid = max(4, columns // _BLOCK_PX), max(4, rows // _BLOCK_PX)
    coarse = video.y
    detail = np.zeros_like(coarse)
    for octave, wanted in enumerate(OCTAVES):
        smooth = _smooth(coarse, 2**octave)
        band = coarse - smooth
        energy = blur(resize(band * band, *grid), 1.0)
        gain = np.float32(wanted) / (np.sqrt(np.maximum(energy, 0)) + np.float32(_FLOOR))
        balanced = np.clip(gain, *_GAINS).astype(np.float32) ** np.float32(camera.balance)
        detail += resize(balanced, columns, rows) * band
        coarse = smooth
    coarse = coarse - coarse.mean()
    contrast = min(3.0, _COARSE / (float(coarse.std()) + 0.02)) ** (0.7 * camera.balance)
    scene = np.float32(camera.contrast) * (np.float32(contrast) * coarse + detail)
    y = np.float32(rng.uniform(*camera.exposure)) + scene
    y = 0.5 + _SHOULDER * np.tanh((y - 0.5) / _SHOULDER)
    grain = np.float32(rng.uniform(*camera.grain) / 219) * rng.standard_normal(y.shape, dtype=np.float32)
    video.y = (y + grain).astype(np.float32)
    return video


def _smooth(frames: Float, step: int) -> Float:
    """The B3 spline filter (1, 4, 6, 4, 1)/16 with ``step`` px between its taps, edges repeated; ``t h w``."""
    for axis in (1, 2):
        size, reach = frames.shape[axis], 2 * step
        padded = np.pad(frames, [(reach, reach) if axis == place else (0, 0) for place in range(3)], mode="edge")
        rest = (slice(None),) * axis
        far, near, middle = (padded[(*rest, slice(place, place + size))] for place in (0, step, reach))
        total = far + padded[(*rest, slice(2 * reach, None))]
        inner = near + padded[(*rest, slice(reach + step, reach + step + size))]
        inner *= np.float32(4)
        total += inner
        total += np.multiply(middle, np.float32(6), out=inner)
        total *= np.float32(1 / 16)
        frames = total
    return frames
