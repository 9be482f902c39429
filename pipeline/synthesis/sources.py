"""Procedural source videos: a family's scene, filmed by one common camera, rounded to 8-bit 4:2:0.

``render("leaves", ("my study", 7), shape)`` gives the same pixels on every run. The families are functions
``(rng, shape) -> Planes`` in ``outdoors``, ``manmade``, ``motion`` and ``people``.
"""

from collections.abc import Callable

import numpy as np

from pipeline.errors import PipelineError, nearest
from pipeline.synthesis import manmade, motion, outdoors, people
from pipeline.synthesis.planes import Planes, Shape, Video420, quantise
from pipeline.synthesis.seeding import generator
from pipeline.synthesis.sensor import COMMON, Camera, film

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
    if family not in FAMILIES:
        raise UnknownFamily(f"unknown family {family!r}; known: {', '.join(FAMILIES)}{nearest(family, FAMILIES)}")
    rng = generator("source", family, *key)
    return quantise(film(rng, FAMILIES[family](rng, shape), camera))
