"""Procedural source videos: a family's scene, filmed by one common camera, rounded to 8-bit 4:2:0.

``render("leaves", ("my study", 7), shape)`` gives the same pixels on every run. The families are functions
``(rng, shape) -> Planes`` in ``outdoors``, ``manmade``, ``motion`` and ``people``.
"""

from collections.abc import Callable

import numpy as np

from pipeline.core.errors import PipelineError, nearest
from pipeline.synthesis import manmade, motion, outdoors, people
from pipeline.synthesis.planes import Float, Planes, Shape, Video420, quantise
from pipeline.synthesis.seeding import generator
from pipeline.synthesis.sensor import COMMON, Camera, film
from pipeline.synthesis.textures import composite

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

_BESIDE = 0.5
"""Of the sources of two scenes, the share in which these meet at an edge."""
_TRANSPARENCY = (0.3, 0.7)


class UnknownFamily(PipelineError):
    """A family of sources that does not exist."""


def render(family: str, key: tuple[str | int, ...], shape: Shape, camera: Camera = COMMON) -> Video420:
    """Makes one source.

    Args:
        family: a name of ``FAMILIES``.
        key: what identifies the source; equal keys give equal pixels.
        shape: frame size (even) in px and number of frames.
        camera: what films the scene.

    Raises:
        UnknownFamily: there is no such family.
    """
    _check(family)
    rng = generator("source", family, *key)
    return quantise(film(rng, FAMILIES[family](rng, shape), camera))


def render_together(
    families: tuple[str, str], key: tuple[str | int, ...], shape: Shape, camera: Camera = COMMON
) -> Video420:
    """Makes one source of two scenes: side by side, or one seen through the other, filmed by one camera.

    Args:
        families: names of ``FAMILIES``; may be equal.
        key: as for ``render``.
        shape: as for ``render``.
        camera: as for ``render``.

    Raises:
        UnknownFamily: there is no such family.
    """
    for family in families:
        _check(family)
    rng = generator("together", *families, *key)
    below, above = (FAMILIES[family](rng, shape) for family in families)
    mask = _half_plane(rng, shape) if rng.random() < _BESIDE else _transparency(rng, shape)
    return quantise(film(rng, composite(below, above, mask), camera))


def _half_plane(rng: np.random.Generator, shape: Shape) -> Float:
    """1 on one side of a line through the middle third of the frame, in any direction; float32 ``h w``."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    row, column = (rng.uniform(1 / 3, 2 / 3) * side for side in (shape.height, shape.width))
    rows, columns = np.mgrid[: shape.height, : shape.width]
    distance = (rows - row) * np.sin(angle) + (columns - column) * np.cos(angle)
    return np.clip(distance + 0.5, 0.0, 1.0).astype(np.float32)


def _transparency(rng: np.random.Generator, shape: Shape) -> Float:
    """One value everywhere, far from 0 and 1; float32 ``h w``."""
    return np.full((shape.height, shape.width), rng.uniform(*_TRANSPARENCY), dtype=np.float32)


def _check(family: str) -> None:
    if family not in FAMILIES:
        raise UnknownFamily(f"unknown family {family!r}; known: {', '.join(FAMILIES)}{nearest(family, FAMILIES)}")
