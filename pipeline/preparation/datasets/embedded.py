"""The embedded default: procedural sources, real codecs, a full-reference score; needs no download.

Ladders of the BVI-HD and Waterloo IVC 4K kind: each content by its codecs by jittered CRF levels; sizes, presets,
key-frame distances and frame rates mixed over ladders; some ladders are encoded at a lower resolution and scaled back,
some from an upload that was compressed before. So CRF and codec alone do not give the score away, while the pixels do.
The score is a stand-in for opinion scores and is called *pseudo-MOS (MS-SSIM)* wherever it is printed. The families,
and every seed, are ones that the embedded teacher's pre-training never saw.

Ref: Zhang et al., "BVI-HD" (2018); Li et al., "Waterloo IVC 4K" (2019), for the design of the ladder.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated

import av
import numpy as np
from pydantic import Field, field_validator, model_validator

from cache.store.replacing import remove_leftovers
from cache.store.scratch import scratch_folder
from pipeline import synthesis
from pipeline.core.errors import PipelineError, nearest
from pipeline.core.manifest import ScoreScale
from pipeline.core.settings import Count, Fraction, Section
from pipeline.preparation.datasets.shared.entry import Entry
from pipeline.preparation.datasets.shared.made import Made, code_digest, key_of
from pipeline.synthesis import fullreference
from pipeline.synthesis.encoding import CODECS, CONTAINERS, CRF_RANGES, PRESETS, Codec, Recipe, decode, encode, resized
from pipeline.synthesis.planes import Shape, Video420
from pipeline.synthesis.seeding import generator
from pipeline.synthesis.sources import FAMILIES, HELD_OUT, render
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

NAME = "embedded"
SCALE = ScoreScale(score_name=fullreference.SCORE_NAME, low=0.0, high=100.0)

_CONTENT_SECONDS = 1800.0
_SCORED_FRAMES = 12
_FPS = (24, 25, 30, 50)
_GOPS = (8, 16, 32, 64)
_LOW_RESOLUTIONS = (0.667, 0.5)
_DELIVERY_CRF = {"h264": 10, "hevc": 10, "vp9": 10, "av1": 12}
"""Nearly lossless: how an encode that was made at a lower resolution is stored after it was scaled back."""
_UPLOAD_SHARE = (0.3, 0.9)
"""An upload's CRF, as the share of its codec's range."""

Even = Annotated[int, Field(ge=112, le=2160, multiple_of=2)]


class EmbeddedError(PipelineError):
    """A content of the embedded data set could not be made."""


class Settings(Section):
    """What is made; with the defaults about a minute on two processes."""

    contents: Count = 180
    codecs_per_content: Annotated[int, Field(ge=1, le=4)] = 1
    """Ladders of one content, each by another codec, the codecs in turn."""
    levels: Annotated[int, Field(ge=2, le=30)] = 4
    """Encodes of a ladder; the CRF of each is drawn from its own share of the range."""
    num_frames: Annotated[int, Field(ge=8, le=600)] = 24
    sizes: list[tuple[Even, Even]] = Field([(320, 180), (256, 144), (384, 216)], min_length=1)
    """Width and height in px; a content has one of them."""
    codecs: list[Codec] = Field(list(CODECS), min_length=1)
    crf: dict[Codec, tuple[int, int]] = Field(dict(CRF_RANGES))
    """Codec → lowest and highest CRF."""
    low_resolution: Fraction = 0.25
    """Share of the ladders made at two thirds or half of the size and scaled back."""
    second_generation: Fraction = 0.25
    """Share of the ladders made from an upload: the source as another encoder left it."""
    families: list[str] = Field([family for family in HELD_OUT if family != "fabric"], min_length=1)
    """Families of ``pipeline/synthesis/sources.py``, taken in turn. ``fabric`` is left out: on its regular stripes no
    predictor tells damage from pattern."""
    seed: int = 7
    """Draws every content and ladder."""

    @field_validator("sizes", mode="before")
    @classmethod
    def _pairs(cls, sizes: object) -> object:
        return [tuple(size) if isinstance(size, list) else size for size in sizes] if isinstance(sizes, list) else sizes

    @field_validator("crf", mode="before")
    @classmethod
    def _ranges(cls, ranges: object) -> object:
        if not isinstance(ranges, dict):
            return ranges
        pairs = {codec: tuple(value) if isinstance(value, list) else value for codec, value in ranges.items()}
        return {**CRF_RANGES, **pairs}

    @field_validator("crf")
    @classmethod
    def _ordered(cls, ranges: dict[Codec, tuple[int, int]]) -> dict[Codec, tuple[int, int]]:
        for codec, (low, high) in ranges.items():
            if not 0 <= low < high <= 63:
                raise ValueError(f"{codec} has {low} … {high}; give a lowest and a higher CRF within 0 … 63")
        return ranges

    @model_validator(mode="after")
    def _enough_codecs(self) -> "Settings":
        if self.codecs_per_content > len(self.codecs):
            raise ValueError(
                f"codecs_per_content is {self.codecs_per_content}; codecs names {len(self.codecs)}; name more codecs"
            )
        return self

    @field_validator("families")
    @classmethod
    def _known(cls, families: list[str]) -> list[str]:
        for family in families:
            if family not in FAMILIES:
                raise ValueError(f"{family!r} is unknown; known: {', '.join(FAMILIES)}{nearest(family, FAMILIES)}")
        return families


def scales(settings: Settings) -> dict[str, ScoreScale]:
    """The scale of the scores, by data set."""
    del settings
    return {NAME: SCALE}


def collect(
    settings: Settings, data_root: Path, workers: int, progress: Callable[[int, int], None] | None = None
) -> list[Entry]:
    """Makes every video and scores it; those that were made before, by the same code, only get their places again.

    Args:
        settings: what is made.
        data_root: the videos go to ``videos/`` below it.
        workers: processes; they change no byte.
        progress: called with the contents done and their number.

    Returns:
        One entry per encode, ordered by ``video_id``.
    """
    folder = data_root / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    made = Made(scratch_folder(data_root))
    tasks = [(settings, index, folder, made) for index in range(settings.contents)]
    workers_here = LocalWorkers(workers, Limits(seconds=_CONTENT_SECONDS))
    for done, (index, part) in enumerate(workers_here.map(_make_content, tasks), start=1):
        if isinstance(part, Lost):
            raise EmbeddedError(f"content {index} could not be made: {part.reason}; see prepare.options.embedded")
        entries += part
        if progress is not None:
            progress(done, settings.contents)
    entries.sort(key=lambda entry: entry.video_id)
    _remove_older(folder, {Path(entry.path).name for entry in entries})
    return entries


@dataclass(frozen=True)
class Ladder:
    """What is made of one content by one codec.

    Attributes:
        upload: how the source was encoded before, or None.
        rungs: settings that differ in CRF alone, ascending.
    """

    upload: Recipe | None
    rungs: tuple[Recipe, ...]


def ladders(settings: Settings, index: int) -> list[Ladder]:
    """The ladders of one content: codecs in turn, CRF from equal shares of the range, the rest at random.

    The turn moves on with every round of the families, so that each family meets each codec.
    """
    rng = generator(NAME, settings.seed, "ladders", index)
    fps = int(rng.choice(_FPS))
    made = []
    turns, family = divmod(index, len(settings.families))
    turn = (family + turns) * settings.codecs_per_content
    for number in range(settings.codecs_per_content):
        codec = settings.codecs[(turn + number) % len(settings.codecs)]
        low, high = settings.crf[codec]
        shares = (np.arange(settings.levels) + rng.random(settings.levels)) / settings.levels
        rung = Recipe(
            codec=codec,
            crf=low,
            preset=str(rng.choice(PRESETS[codec])),
            gop=int(rng.choice(_GOPS)),
            bframes=int(rng.integers(0, 4)),
            scale=float(rng.choice(_LOW_RESOLUTIONS)) if rng.random() < settings.low_resolution else 1.0,
            fps=fps,
        )
        rungs = tuple(replace(rung, crf=round(low + share * (high - low))) for share in shares)
        made.append(Ladder(_upload(settings, rng), rungs))
    return made


def _upload(settings: Settings, rng: np.random.Generator) -> Recipe | None:
    """How the source of a ladder was encoded before, if it was."""
    codec = settings.codecs[int(rng.integers(len(settings.codecs)))]
    low, high = settings.crf[codec]
    crf = round(low + rng.uniform(*_UPLOAD_SHARE) * (high - low))
    return Recipe(codec=codec, crf=crf, preset=PRESETS[codec][0]) if rng.random() < settings.second_generation else None


def _make_content(task: tuple[Settings, int, Path, Made]) -> list[Entry]:
    """Makes one source and its encodes, in a worker process; the source only where an encode is not finished."""
    settings, index, folder, made = task
    rng = generator(NAME, settings.seed, "content", index)
    family = settings.families[index % len(settings.families)]
    width, height = settings.sizes[int(rng.integers(len(settings.sizes)))]
    content = f"{index:03d}-{family}"
    entries = []
    origin = {"family": family, "seed": settings.seed, "index": index, "code": made_by()}
    shape = Shape(width, height, settings.num_frames)
    source: Video420 | None = None
    encodes = [
        (level, recipe, ladder.upload)
        for ladder in ladders(settings, index)
        for level, recipe in enumerate(ladder.rungs)
    ]
    for level, recipe, upload in encodes:
        video_id = f"{content}-{recipe.codec}-{level}"
        name = f"{video_id}.{CONTAINERS[recipe.codec]}"
        texts = {"recipe": recipe.text(), "upload": upload.text() if upload else None}
        key = key_of({**origin, "shape": [width, height, settings.num_frames], **texts})
        facts = made.find(key)
        if facts is None:
            source = source or render(family, (NAME, settings.seed, index), shape)
            file, distorted = _distort(source, recipe, upload)
            facts = {"mos": round(_score(source, distorted), 4)}
            made.keep(key, file, facts)
        made.place(key, folder / name)
        entries.append(
            Entry(
                video_id=video_id,
                path=f"videos/{name}",
                mos=facts["mos"],
                content=content,
                codec=recipe.codec,
                level=str(recipe.crf),
                split=None,
                dataset=NAME,
            )
        )
    return entries


@cache
def made_by() -> list[str]:
    """What the bytes and scores of a video depend on beside its recipe: this code, and the libraries that it calls."""
    return [code_digest(Path(__file__), *Path(synthesis.__file__).parent.glob("*.py")), av.__version__, np.__version__]


def _distort(source: Video420, recipe: Recipe, upload: Recipe | None) -> tuple[bytes, Video420]:
    """The file as it is delivered, at the source's size, and its frames."""
    file = encode(decode(encode(source, upload)) if upload else source, recipe)
    distorted = decode(file)
    if recipe.scale != 1.0:
        upscaled = resized(distorted, source.shape.width, source.shape.height)
        file = encode(upscaled, replace(recipe, crf=_DELIVERY_CRF[recipe.codec], scale=1.0))
        distorted = decode(file)
    return file, distorted


def _score(source: Video420, distorted: Video420) -> float:
    frames = np.unique(np.linspace(0, source.shape.num_frames - 1, _SCORED_FRAMES).round().astype(int))
    similarity = fullreference.ms_ssim(source.y[frames], distorted.y[frames])
    return fullreference.score(fullreference.decibels(similarity))


def _remove_older(folder: Path, current: set[str]) -> None:
    """Deletes what an earlier run with other settings left, so that the folder holds this data set alone."""
    remove_leftovers(folder)
    suffixes = {f".{container}" for container in CONTAINERS.values()}
    for path in folder.iterdir():
        if path.suffix in suffixes and path.name not in current:
            path.unlink()
