"""Training examples of natural material, beside the generated ones: many kinds of original, and real encoders.

An original is photographs in motion or a part of a clip; lit, exposed, grained or clean; and for some of them encoded
at a good quality and scaled down, as what is found in the world was. Then come real encoders, to a CRF or a bit rate.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.synthesis.encoding import CRF_RANGES, Codec, Recipe, decode, encode, resized
from pipeline.synthesis.planes import Shape, Video420, quantise
from pipeline.synthesis.seeding import generator
from pipeline.teachers.pretraining import examples
from pipeline.teachers.pretraining.examples import ENCODES, Group, Variety, assemble, draw_frame_rate, draw_recipe
from pipeline.teachers.pretraining.natural.bitrates import encode_to_rate
from pipeline.teachers.pretraining.natural.footage import take
from pipeline.teachers.pretraining.natural.material import Material
from pipeline.teachers.pretraining.natural.originals import finish
from pipeline.teachers.pretraining.natural.photographs import animate, large_enough

_LINES = (144, 180, 216, 240, 270, 360, 480, 720, 1080)
_LINE_ODDS = (0.33, 0.32, 0.12, 0.09, 0.08, 0.04, 0.013, 0.005, 0.002)
_ASPECTS, _ASPECT_ODDS = (16 / 9, 4 / 3, 1.0, 2.2, 9 / 16), (0.68, 0.14, 0.05, 0.05, 0.08)
_LONG, _LONG_FRAMES, _SHORT_FRAMES = 0.33, (60, 90), (16, 32)
_MOST_PIXELS = 66 * 320 * 180
"""Of a whole original: large frames come in short videos."""
_ENCODED_BEFORE, _GOOD_CRF, _SHRUNK, _LINES_SHRUNK = 0.45, (9, 20), (1.25, 1.8), 270
_TO_RATE, _BITS_PER_PIXEL = 0.2, (0.01, 0.35)
_SCALES, _SCALE_ODDS = (1.0, 0.75, 0.667, 0.5, 0.4), (0.68, 0.1, 0.1, 0.08, 0.04)
_LONG_GOPS = (48, 120, 250)


@dataclass(frozen=True, kw_only=True)
class NaturalVariety(Variety):
    """What may be drawn where natural material is at hand.

    Attributes:
        material: photographs and clips.
        natural: share of the contents that are natural.
        clips: of these, the share made of clips, where there are any.
    """

    material: Material
    natural: float = 0.7
    clips: float = 0.25


def make_groups(variety: Variety, index: int) -> list[Group]:
    """Makes content ``index``, natural or generated; a pure function of its arguments."""
    rng = generator("natural example", variety.name, index)
    if not isinstance(variety, NaturalVariety) or rng.random() >= variety.natural:
        return examples.make_groups(variety, index)
    source = original(rng, variety)
    fps = draw_frame_rate(variety, index)
    recipes, encodes, known = [], [], []
    for _ in range(ENCODES):
        recipe, file, to_rate = _distort(rng, source, variety, fps)
        recipes.append(recipe)
        encodes.append((file, resized(decode(file), source.shape.width, source.shape.height)))
        known.append(not to_rate)
    groups = assemble(source, recipes, encodes, rng, variety.views)
    return [replace(group, targets=_without_crf(group.targets, known)) for group in groups]


def original(rng: np.random.Generator, variety: NaturalVariety) -> Video420:
    """Draws a pristine source."""
    material = variety.material
    of_clip = bool(material.clips) and (rng.random() < variety.clips or not material.photographs)
    if of_clip:
        clip = material.clips[rng.integers(len(material.clips))]
        return quantise(finish(rng, take(rng, clip, _length(rng), most_lines=int(rng.choice([180, 270, 540])))))
    shape = _shape(rng)
    before = rng.random() < _ENCODED_BEFORE and min(shape.width, shape.height) <= _LINES_SHRUNK
    factor = rng.uniform(*_SHRUNK) if before else 1.0
    large = Shape(_even(shape.width * factor), _even(shape.height * factor), shape.num_frames)
    fitting = [
        path for path, size in zip(material.photographs, material.sizes, strict=True) if large_enough(size, large)
    ]
    video = quantise(finish(rng, animate(rng, fitting or material.photographs, large)))
    if not before:
        return video
    codec: Codec = "vp9" if rng.random() < 0.15 else "h264"
    preset = {"h264": "superfast", "vp9": "8"}[codec]
    good = Recipe(codec=codec, crf=int(rng.integers(*_GOOD_CRF)), preset=preset, gop=int(rng.choice([12, 48, 250])))
    return resized(decode(encode(video, good)), shape.width, shape.height)


def _distort(rng: np.random.Generator, source: Video420, variety: Variety, fps: int) -> tuple[Recipe, bytes, bool]:
    """Encodes, sometimes twice and sometimes to a bit rate; says whether it was to a bit rate."""
    gops = _LONG_GOPS if source.shape.num_frames > 2 * variety.gops[0] and rng.random() < 0.6 else variety.gops
    recipe = replace(
        draw_recipe(rng, variety), fps=fps, scale=float(rng.choice(_SCALES, p=_SCALE_ODDS)), gop=int(rng.choice(gops))
    )
    while min(source.shape.width, source.shape.height) * recipe.scale < 64:
        recipe = replace(recipe, scale=1.0)
    if rng.random() < variety.double:
        first = draw_recipe(rng, variety)
        low, high = CRF_RANGES[first.codec]
        crf = int(low + rng.uniform(0.0, 0.9) * (high - low))
        source = decode(encode(source, Recipe(codec=first.codec, crf=crf, preset=first.preset, gop=32, fps=fps)))
    if rng.random() < _TO_RATE:
        return recipe, encode_to_rate(source, recipe, float(np.exp(rng.uniform(*np.log(_BITS_PER_PIXEL))))), True
    return recipe, encode(source, recipe), False


def _shape(rng: np.random.Generator) -> Shape:
    lines, aspect = int(rng.choice(_LINES, p=_LINE_ODDS)), float(rng.choice(_ASPECTS, p=_ASPECT_ODDS))
    width, height = (lines, lines / aspect) if aspect < 1 else (lines * aspect, lines)
    width, height = _even(width), _even(height)
    return Shape(width, height, max(12, min(_length(rng), _MOST_PIXELS // (width * height))))


def _length(rng: np.random.Generator) -> int:
    low, high = _LONG_FRAMES if rng.random() < _LONG else _SHORT_FRAMES
    return int(rng.integers(low, high + 1))


def _without_crf(targets: NDArray[np.float32], known: list[bool]) -> NDArray[np.float32]:
    """What was encoded to a bit rate has no CRF: not a number, which the loss leaves out."""
    targets = targets.copy()
    targets[~np.array(known), examples.CLIP_TARGETS.index("crf")] = np.nan
    return targets


def _even(length: float) -> int:
    return 2 * round(length / 2)
