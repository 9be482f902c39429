"""Training examples: one procedural source, several encodes of it, and what full-reference measures say of each.

A *group* is one content seen through one view: the same fragments of every encode of it, so that encodes of one content
can be compared. Dense targets describe every cell of 2 x 2 tokens; clip targets the whole video.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.rendering.policy import ViewPolicy
from pipeline.rendering.sampling import uniform_indices
from pipeline.rendering.views import draw_view
from pipeline.synthesis.encoding import CODECS, CRF_RANGES, Recipe, bits_per_pixel, decode, encode, resized
from pipeline.synthesis.fullreference import decibels, detail_loss, ms_ssim, patch_measures, psnr
from pipeline.synthesis.planes import Byte, Shape, Video420
from pipeline.synthesis.seeding import generator
from pipeline.synthesis.sensor import COMMON, Camera, any_camera
from pipeline.synthesis.sources import HELD_OUT, PRETRAINING, render, render_together
from pipeline.video.colour import Colour, pixels_to_rgb

ENCODES = 3
"""Encodes of one content in a group."""
NUM_FRAMES, GRID, FRAGMENT_PX, PATCH_PX, TUBELET = 8, 4, 28, 7, 4
CLIP_PX = GRID * FRAGMENT_PX
TOKENS = (NUM_FRAMES // TUBELET, CLIP_PX // PATCH_PX, CLIP_PX // PATCH_PX)
CELL_PX = 14
CELLS = (NUM_FRAMES // TUBELET, CLIP_PX // CELL_PX, CLIP_PX // CELL_PX)
"""Distortion is told of cells of 2 x 2 tokens: a patch of 7 px is too small to say much of structure."""
CLIP_TARGETS = ("ms_ssim", "psnr", "detail", "crf", "bits")
"""Per clip: (MS-SSIM dB − 16)/5, (PSNR dB − 30)/8, 2 · detail loss, CRF within its codec's range on −1 … 1, and
log10 bits per pixel + 1."""
QUALITY_CENTRE_DB, QUALITY_SPREAD_DB = 16.0, 5.0
_VIEWS = ViewPolicy(policy="fragments", sampling="uniform", num_frames=NUM_FRAMES, size=CLIP_PX, grid=GRID)
_COLOUR = Colour(matrix="bt601", full_range=False)

_SIZES = ((320, 180), (256, 144), (384, 216), (480, 270))
_SIZE_ODDS = (0.35, 0.45, 0.15, 0.05)
_LENGTHS, _LENGTH_ODDS = (16, 24), (0.7, 0.3)
_MEASURED = slice(None, None, 2)
"""Of a clip's frames, those that MS-SSIM is taken of; it costs more than encoding and hardly differs between them."""
_SCALES, _SCALE_ODDS = (1.0, 0.75, 0.667, 0.5), (0.7, 0.1, 0.1, 0.1)
_UPLOAD_CRF = 0.9
"""The first of two encodes has a CRF of up to this share of the codec's range."""


@dataclass(frozen=True, kw_only=True)
class Variety:
    """What may be drawn: the families and the encoder settings.

    Attributes:
        name: part of every seed, so that two varieties never share a source.
        families: of procedural sources.
        presets: per codec.
        gops: longest distances between key frames.
        frame_rates: frames per second that an encoder is told; its rate control weighs frames by their duration.
        double: share of encodes whose input was itself encoded before.
        pairs: share of the contents that show two families.
        cameras: share of the contents that are not filmed by the common camera but by any.
        views: groups (view positions) per content.
    """

    name: str
    families: tuple[str, ...]
    presets: dict[str, tuple[str, ...]]
    gops: tuple[int, ...]
    frame_rates: tuple[int, ...] = (30,)
    double: float = 0.2
    pairs: float = 0.5
    cameras: float = 0.6
    views: int = 3


TRAINING = Variety(
    name="pretraining",
    families=PRETRAINING,
    presets={
        "h264": ("ultrafast", "veryfast", "fast"),
        "hevc": ("ultrafast", "veryfast"),
        "vp9": ("8", "6"),
        "av1": ("12", "10"),
    },
    gops=(8, 12, 24, 48, 250),
    frame_rates=(24, 25, 30, 50, 60),
)
"""What the embedded teacher is pre-trained on."""

EVALUATION = Variety(
    name="held-out",
    families=HELD_OUT,
    presets={"h264": ("superfast", "faster"), "hevc": ("superfast",), "vp9": ("7",), "av1": ("11",)},
    gops=(16, 32),
    pairs=0.0,
    views=6,
    cameras=0.0,
)
"""Families, seeds, presets and key-frame distances that the pre-training never sees, filmed by the common camera."""

WIDE_EVALUATION = replace(EVALUATION, name="held-out-wide", cameras=1.0)
"""The same, each content filmed by another camera."""


@dataclass(frozen=True)
class Group:
    """One content through one view.

    Attributes:
        clips: uint8 ``e t h w c``, RGB.
        dense: float16 ``e t' h' w' 4``, ``PATCH_MEASURES`` of every cell.
        targets: float32 ``e 5``, ``CLIP_TARGETS``.
        codecs: int64 ``e``, index into ``CODECS``.
    """

    clips: Byte
    dense: NDArray[np.float16]
    targets: NDArray[np.float32]
    codecs: NDArray[np.int64]


def draw_camera(variety: Variety, index: int) -> Camera:
    """Draws the camera of content ``index``."""
    rng = generator("camera", variety.name, index)
    return any_camera(rng) if rng.random() < variety.cameras else COMMON


def draw_frame_rate(variety: Variety, index: int) -> int:
    """Draws the frames per second of content ``index``, which all of its encodes have."""
    return int(generator("frame rate", variety.name, index).choice(variety.frame_rates))


def draw_recipe(rng: np.random.Generator, variety: Variety) -> Recipe:
    """Draws an encoder and its settings; CRF is uniform over the codec's range."""
    codec = CODECS[rng.integers(len(CODECS))]
    low, high = CRF_RANGES[codec]
    tune = str(rng.choice(["", "", "", "zerolatency", "psnr", "grain"]))
    return Recipe(
        codec=codec,
        crf=int(rng.integers(low, high + 1)),
        preset=str(rng.choice(variety.presets[codec])),
        gop=int(rng.choice(variety.gops)),
        bframes=0 if tune == "zerolatency" else int(rng.integers(0, 4)),
        tune=tune,
        scale=float(rng.choice(_SCALES, p=_SCALE_ODDS)),
    )


def make_groups(variety: Variety, index: int) -> list[Group]:
    """Makes content ``index``: one source, its encodes, ``variety.views`` groups; a pure function of its arguments."""
    rng = generator("example", variety.name, index)
    family = variety.families[rng.integers(len(variety.families))]
    width, height = _SIZES[rng.choice(len(_SIZES), p=_SIZE_ODDS)]
    shape = Shape(width, height, int(rng.choice(_LENGTHS, p=_LENGTH_ODDS)))
    camera = draw_camera(variety, index)
    if rng.random() < variety.pairs:
        other = variety.families[rng.integers(len(variety.families))]
        source = render_together((family, other), (variety.name, index), shape, camera)
    else:
        source = render(family, (variety.name, index), shape, camera)
    fps = draw_frame_rate(variety, index)
    recipes = [replace(draw_recipe(rng, variety), fps=fps) for _ in range(ENCODES)]
    encodes = [distort(source, recipe, rng, variety) for recipe in recipes]
    return assemble(source, recipes, encodes, rng, variety.views)


def distort(source: Video420, recipe: Recipe, rng: np.random.Generator, variety: Variety) -> tuple[bytes, Video420]:
    """Encodes a source, sometimes twice, and returns the file and its frames at the source's size."""
    if rng.random() < variety.double:
        first = draw_recipe(rng, variety)
        low, high = CRF_RANGES[first.codec]
        crf = int(low + rng.uniform(0.0, _UPLOAD_CRF) * (high - low))
        first = Recipe(codec=first.codec, crf=crf, preset=first.preset, gop=32, fps=recipe.fps)
        file = encode(decode(encode(source, first)), recipe)
    else:
        file = encode(source, recipe)
    return file, resized(decode(file), source.shape.width, source.shape.height)


def assemble(
    source: Video420,
    recipes: list[Recipe],
    encodes: list[tuple[bytes, Video420]],
    rng: np.random.Generator,
    views: int,
) -> list[Group]:
    """Measures encodes of one source and cuts views from them."""
    frames = uniform_indices(source.shape.num_frames, NUM_FRAMES)
    reference = _frames(source, frames)
    targets, distorted = [], []
    for recipe, (file, video) in zip(recipes, encodes, strict=True):
        chosen = _frames(video, frames)
        distorted.append(chosen)
        low, high = CRF_RANGES[recipe.codec]
        targets.append(
            (
                (decibels(ms_ssim(reference.y[_MEASURED], chosen.y[_MEASURED])) - QUALITY_CENTRE_DB)
                / QUALITY_SPREAD_DB,
                (psnr(reference.y, chosen.y) - 30.0) / 8.0,
                2.0 * detail_loss(reference.y, chosen.y),
                2.0 * (recipe.crf - low) / (high - low) - 1.0,
                np.log10(bits_per_pixel(file, video)) + 1.0,
            )
        )
    codecs = np.array([CODECS.index(recipe.codec) for recipe in recipes], dtype=np.int64)
    digest = rng.bytes(32).hex()
    groups = []
    for view in range(1, views + 1):
        places = fragment_places(source.shape, digest, view)
        luma = np.stack([cut(video.y, places) for video in distorted])
        original = np.broadcast_to(cut(reference.y, places), luma.shape)
        dense = patch_measures(original, luma, CELL_PX, TUBELET)
        clips = np.stack([fragments(video, places) for video in distorted])
        groups.append(Group(clips, dense.astype(np.float16), np.array(targets, dtype=np.float32), codecs))
    return groups


def fragment_places(shape: Shape, digest: str, view: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns, each ``h w``, that a clip's pixels come from; chosen as the pipeline chooses its views."""
    chosen = draw_view(
        _VIEWS, num_frames=shape.num_frames, height=shape.height, width=shape.width, digest=digest, view=view
    )
    inside = np.arange(FRAGMENT_PX)
    corners = np.array(chosen.patches).reshape(GRID, GRID, 2)
    rows = corners[:, None, :, None, 0] + inside[:, None, None] + 0 * inside
    columns = corners[:, None, :, None, 1] + inside + 0 * inside[:, None, None]
    return rows.reshape(CLIP_PX, CLIP_PX), columns.reshape(CLIP_PX, CLIP_PX)


def cut(frames: Byte, places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Byte:
    """The pixels of ``t h w`` at ``places``."""
    return frames[:, places[0], places[1]]


def fragments(video: Video420, places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Byte:
    """Cuts a view and converts it to RGB as the pipeline does.

    Returns:
        uint8 ``t h w c``.
    """
    small = places[0] >> 1, places[1] >> 1
    return pixels_to_rgb(cut(video.y, places), cut(video.u, small), cut(video.v, small), depth=8, colour=_COLOUR)


def _frames(video: Video420, indices: NDArray[np.int64]) -> Video420:
    return Video420(video.y[indices], video.u[indices], video.v[indices])
