"""Procedural source videos: a family's scene, then optics and sensor, rounded to 8-bit 4:2:0.

``render("leaves", ("my study", 7), shape)`` gives the same pixels on every run. The families are functions
``(rng, shape) -> Planes`` in ``outdoors``, ``manmade``, ``motion`` and ``people``.
"""

from collections.abc import Callable

import numpy as np

from pipeline.errors import PipelineError, nearest
from pipeline.synthesis import manmade, motion, outdoors, people
from pipeline.synthesis.planes import Planes, Shape, Video420, quantise
from pipeline.synthesis.resampling import blur
from pipeline.synthesis.seeding import generator

Family = Callable[[np.random.Generator, Shape], Planes]

FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        outdoors.ground,
        outdoors.leaves,
        outdoors.clouds,
        outdoors.grass,
        outdoors.foliage,
        outdoors.hills,
        outdoors.spin,
        outdoors.mist,
        manmade.text,
        manmade.screen,
        manmade.buildings,
        manmade.fabric,
        manmade.signs,
        motion.water,
        motion.fire,
        motion.snow,
        motion.objects,
        motion.sports,
        motion.machine,
        motion.cut,
        people.portrait,
        people.bokeh,
        people.night,
        people.still_life,
    )
}

HELD_OUT = ("hills", "buildings", "fabric", "water", "sports", "portrait", "bokeh", "snow")
"""Families that the embedded teacher's pre-training never sees; its evaluation and the default data set use them."""

PRETRAINING = tuple(name for name in FAMILIES if name not in HELD_OUT)
"""Families the embedded teacher is pre-trained on."""


class UnknownFamily(PipelineError):
    """A family of sources that does not exist."""


def render(family: str, key: tuple[str | int, ...], shape: Shape) -> Video420:
    """Makes one source.

    Args:
        family: a name of ``FAMILIES``.
        key: what identifies the source; equal keys give equal pixels.
        shape: frame size (even) in px and number of frames.

    Raises:
        UnknownFamily: there is no such family.
    """
    if family not in FAMILIES:
        raise UnknownFamily(f"unknown family {family!r}; known: {', '.join(FAMILIES)}{nearest(family, FAMILIES)}")
    rng = generator("source", family, *key)
    return quantise(_film(rng, FAMILIES[family](rng, shape)))


def _film(rng: np.random.Generator, video: Planes) -> Planes:
    """Optics and sensor: exposure, defocus, in-camera sharpening, flicker and grain, each in some sources only."""
    if rng.random() < 0.3:
        level = np.float32(rng.uniform(-0.06, 0.06))
        video.y = (video.y - 0.5) * np.float32(rng.uniform(0.6, 1.1)) + 0.5 + level
    if rng.random() < 0.2:
        video.y = blur(video.y, float(rng.uniform(0.6, 1.8)))
    if rng.random() < 0.25:
        video.y = video.y + np.float32(rng.uniform(0.2, 1.0)) * (video.y - blur(video.y, 1.0))
    if rng.random() < 0.08:
        t = np.arange(len(video.y), dtype=np.float32)
        video.y = video.y * (1 + rng.uniform(0.02, 0.15) * np.sin(t * rng.uniform(0.1, 1.5)))[:, None, None]
    if rng.random() < 0.5:
        strength = rng.choice([0.004, 0.01, 0.02, 0.035]) * rng.uniform(0.6, 1.4)
        grain = rng.standard_normal(video.y.shape, dtype=np.float32)
        if rng.random() < 0.5:
            size = float(rng.uniform(0.5, 1.2))
            grain = blur(grain, size)
            grain /= max(float(grain[0].std()), 1e-6)
        video.y = video.y + np.float32(strength) * grain * (1.3 - video.y)
        small = rng.standard_normal(video.u.shape, dtype=np.float32) * np.float32(0.4 * strength)
        video.u = video.u + small
        video.v = video.v - small[:, :, ::-1]
    video.y = video.y.astype(np.float32)
    return video
