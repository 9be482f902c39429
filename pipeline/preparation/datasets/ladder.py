"""Your own ladder: pristine videos in, encodes at every codec, level and size out, labelled by a full-reference metric:
MS-SSIM or PSNR by torchmetrics, VMAF by an ``ffmpeg`` that has it.

Put videos (raw ``.yuv`` with its size in the name, ``.y4m``, or anything that PyAV reads) into ``data/raw/ladder/``.
They are brought to 8-bit 4:2:0 of limited range and even size. Each source is a content. An encode at a lower
resolution is delivered as it is, and compared after it was scaled back. Finished encodes are stored in
``.teachonce/made``, so a run that was stopped goes on where it was, and a level more encodes that level only.

Left out: sound, 10 bits, tone mapping, variable frame rates (a source's mean rate, rounded, is written).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import av
import numpy as np
from pydantic import Field, field_validator

from cache.store.replacing import remove_leftovers
from cache.store.scratch import scratch_folder
from pipeline import synthesis
from pipeline.core.errors import PipelineError
from pipeline.core.files import file_digest
from pipeline.core.manifest import ManifestError, ScoreScale, resolve
from pipeline.core.settings import Count, Section
from pipeline.preparation.datasets.shared import sources
from pipeline.preparation.datasets.shared.brought import tell
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry, Progress
from pipeline.preparation.datasets.shared.files import files_below
from pipeline.preparation.datasets.shared.full_reference import SMALLEST_PX, TOO_SMALL, made_by, ms_ssim, psnr
from pipeline.preparation.datasets.shared.made import Made, code_digest, key_of
from pipeline.preparation.datasets.shared.reading import raise_all
from pipeline.preparation.datasets.shared.sources import Source, look_at, read, seconds_of
from pipeline.preparation.datasets.shared.vmaf import find_vmaf, vmaf
from pipeline.synthesis import fullreference
from pipeline.synthesis.encoding import CODECS, CONTAINERS, PRESETS, Codec, Recipe, decode, encode, resized
from pipeline.synthesis.planes import Video420
from pipeline.video.suffixes import is_video, left_out
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

NAME = "ladder"
SCALES = {
    "ms_ssim": ScoreScale(score_name=fullreference.SCORE_NAME, low=0.0, high=100.0),
    "psnr": ScoreScale(score_name="pseudo-MOS (PSNR, dB)", low=0.0, high=50.0),
    "vmaf": ScoreScale(score_name="pseudo-MOS (VMAF)", low=0.0, high=100.0),
}
DOWNLOAD = tell(NAME, "Expected: pristine videos, one per content.")
_ENCODE_SECONDS = 6 * 3600.0
_LOOK = Limits(seconds=3600.0, memory_bytes=4 << 30)
_USUAL: dict[Codec, str] = {"h264": "veryfast", "hevc": "superfast", "vp9": "7", "av1": "11"}
"""Presets that take about 1 s for 60 frames of 720p."""

Crf = Annotated[int, Field(ge=0, le=63)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]


class Settings(Section):
    """The rungs: every codec at every of its levels and every size."""

    folder: str = "raw/ladder"
    """Of the pristine videos, below ``data/``."""
    crf: dict[Codec, Annotated[list[Crf], Field(min_length=1)]] = Field(
        {"h264": [23, 32, 41], "hevc": [23, 32, 41], "vp9": [32, 44, 56], "av1": [32, 44, 56]}, min_length=1
    )
    """Codec → its levels."""
    sizes: Annotated[list[Share], Field(min_length=1)] = Field([1.0])
    """Width and height of the encode, as shares of the source's."""
    presets: dict[Codec, str] = Field(default_factory=dict)
    """Codec → the encoder's preset; what is left out takes `_USUAL`."""
    gop: Count = 64
    """Longest distance between key frames, in frames."""
    max_frames: Count = 250
    """Of a source, from its first; a whole source is held in memory while it is encoded."""
    score: Literal["ms_ssim", "psnr", "vmaf"] = "ms_ssim"
    """``vmaf`` needs an ``ffmpeg`` with libvmaf on the PATH."""
    max_failed: Annotated[int, Field(ge=0)] = 0
    """Sources that cannot be used, or one of whose rungs cannot be made, without failure; they are named."""
    scored_frames: Count = 32
    """How many frames, evenly spread, ``ms_ssim`` and ``psnr`` look at."""

    @field_validator("presets")
    @classmethod
    def _known(cls, presets: dict[Codec, str]) -> dict[Codec, str]:
        for codec, preset in presets.items():
            if preset not in PRESETS[codec]:
                raise ValueError(f"{codec} has {preset!r}; known: {', '.join(PRESETS[codec])}")
        return presets


class LadderError(PipelineError):
    """A rung could not be made."""


@dataclass(frozen=True)
class _Rung:
    """One encode of one source.

    Attributes:
        source: the pristine file, as it was looked at.
        recipe: its encode.
        settings: of the ladder.
        key: of the finished file.
        target: where it goes.
        made: where finished files are stored.
    """

    source: Source
    recipe: Recipe
    settings: Settings
    key: str
    target: Path
    made: Made


def scales(settings: Settings) -> dict[str, ScoreScale]:
    """The scale of the scores, by data set."""
    return {NAME: SCALES[settings.score]}


def collect(settings: Settings, data_root: Path, workers: int, progress: Progress | None = None) -> list[Entry]:
    """Makes what is not yet made of the ladder.

    Raises:
        DatasetError: there are no sources, or more than ``max_failed`` cannot be used.
        LadderError: rungs of more than ``max_failed`` sources cannot be made.
    """
    usable, unusable = _sources(settings, data_root, workers)
    scorer = find_vmaf() if settings.score == "vmaf" else made_by()
    folder = data_root / "videos" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    made = Made(scratch_folder(data_root))
    rungs = [rung for source in usable for rung in _rungs(source, settings, folder, made, [*_made_by(), scorer])]
    _say_cost(rungs, workers)
    scores: dict[str, float] = {}
    failed: dict[Path, str] = {}
    limits = Limits(seconds=_ENCODE_SECONDS)
    for done, (index, outcome) in enumerate(LocalWorkers(workers, limits).map(_make, rungs), start=1):
        rung = rungs[index]
        if isinstance(outcome, str | Lost):
            reason = outcome if isinstance(outcome, str) else outcome.reason
            failed[rung.source.path] = f"{rung.target.name} could not be made: {reason}"
            if len(failed) + len(unusable) > settings.max_failed:
                raise LadderError("\n".join([*failed.values(), "what is finished is stored; run prepare again"]))
        else:
            scores[rung.target.name] = outcome
        if progress is not None:
            progress(done, len(rungs))
    _say("left out", [*unusable, *failed.values()])
    good = [rung for rung in rungs if rung.source.path not in failed]
    names = {rung.target.name for rung in good}
    remove_leftovers(folder)
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    return sorted((_entry(rung, scores) for rung in good), key=lambda entry: entry.video_id)


def _say(what: str, texts: Sequence[str]) -> None:
    for text in texts:
        print(f"prepare: {NAME}: {what}: {text}", file=sys.stderr)


def _say_cost(rungs: Sequence[_Rung], workers: int) -> None:
    """Before hours are spent: how many encodes are missing, and about how long they take."""
    missing = [rung for rung in rungs if rung.made.find(rung.key) is None]
    if not missing:
        return
    first = missing[0].source
    recipes = [rung.recipe for rung in missing if rung.source == first]
    pixels = {rung.source: rung.source.width * rung.source.height for rung in missing}
    share = sum(pixels[rung.source] for rung in missing) / (len(recipes) * pixels[first])
    seconds = seconds_of(first, recipes, missing[0].settings.max_frames) * share / workers
    told = f"{len(missing)} of {len(rungs)} encodes, about {max(seconds / 60, 0.1):.1f} min with {workers} workers"
    _say("to be made", [f"{told}, and the time of {missing[0].settings.score}"])


def _sources(settings: Settings, data_root: Path, workers: int) -> tuple[list[Source], list[str]]:
    """Looks at every source before the first encode.

    Returns:
        Those that can be used, and what is wrong with the others.
    """
    try:
        folder = resolve(data_root, settings.folder)
    except ManifestError as error:
        raise DatasetError(f"prepare.options.{NAME}.folder: {error}") from None
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder}", advice=DOWNLOAD)
    problems: list[str] = []
    names = list(files_below(folder, data_root, problems.append))
    found = [folder / name for name in names if is_video(name)]
    if left := [name for name in names if not is_video(name)]:
        _say(str(folder), [left_out(left)])
    if not found:
        raise DatasetError(*problems, f"{folder} has no pristine videos", advice=DOWNLOAD)
    usable: list[Source] = []
    by_stem: dict[str, Path] = {}
    for index, outcome in sorted(LocalWorkers(workers, _LOOK).map(look_at, found), key=lambda pair: pair[0]):
        path = found[index]
        if not isinstance(outcome, Source):
            problems.append(f"{path}: {outcome.reason if isinstance(outcome, Lost) else outcome}")
        elif settings.score == "ms_ssim" and min(outcome.width, outcome.height) < SMALLEST_PX:
            problems.append(f"{path}: got {outcome.width}x{outcome.height} px; {TOO_SMALL}")
        elif (first := by_stem.setdefault(path.stem, path)) != path:
            problems.append(f"{path} and {first} have one name, as their encodes would; rename one")
        else:
            _say(str(path), outcome.notes)
            usable.append(outcome)
    if len(problems) > settings.max_failed or not usable:
        raise_all(problems)
    return usable, problems


def _rungs(source: Source, settings: Settings, folder: Path, made: Made, made_by: list[str]) -> list[_Rung]:
    digest, name = file_digest(source.path), source.path.name
    rungs = []
    for codec in (codec for codec in CODECS if codec in settings.crf):
        for crf in sorted(set(settings.crf[codec])):
            for size in sorted(set(settings.sizes)):
                preset = settings.presets.get(codec, _USUAL[codec])
                recipe = Recipe(codec=codec, crf=crf, preset=preset, gop=settings.gop, scale=size, fps=source.fps)
                shown = {"max_frames": settings.max_frames, "score": settings.score, "scored": settings.scored_frames}
                key = key_of({"source": digest, "name": name, "recipe": recipe.text(), "code": made_by, **shown})
                share = "" if size == 1.0 else f"_{size:g}"
                target = folder / f"{source.path.stem}_{codec}_{crf}{share}.{CONTAINERS[codec]}"
                rungs.append(_Rung(source, recipe, settings, key, target, made))
    return rungs


def _make(rung: _Rung) -> float | str:
    """Encodes and scores, or finds what was made before; what a worker process does.

    Returns:
        The score, or what went wrong.
    """
    facts = rung.made.find(rung.key)
    if facts is None:
        try:
            source = read(rung.source, rung.settings.max_frames)
            file = encode(source, rung.recipe, matrix=rung.source.matrix)
            facts = {"mos": round(_score(rung, source, file), 4)}
        except PipelineError as error:
            return str(error)
        rung.made.keep(rung.key, file, facts)
    rung.made.place(rung.key, rung.target)
    return float(facts["mos"])


def _score(rung: _Rung, source: Video420, file: bytes) -> float:
    if rung.settings.score == "vmaf":
        return vmaf(source, file, CONTAINERS[rung.recipe.codec])
    distorted = resized(decode(file), source.shape.width, source.shape.height)
    count = source.shape.num_frames
    frames = np.unique(np.linspace(0, count - 1, min(rung.settings.scored_frames, count)).round().astype(int))
    if rung.settings.score == "psnr":
        return psnr(source.y[frames], distorted.y[frames])
    return fullreference.score(fullreference.decibels(ms_ssim(source.y[frames], distorted.y[frames])))


def _entry(rung: _Rung, scores: dict[str, float]) -> Entry:
    return Entry(
        video_id=rung.target.stem,
        path=f"videos/{NAME}/{rung.target.name}",
        mos=scores[rung.target.name],
        content=rung.source.path.stem,
        codec=rung.recipe.codec,
        level=str(rung.recipe.crf),
        split=None,
        dataset=NAME,
    )


@cache
def _made_by() -> list[str]:
    """What the bytes and scores of an encode depend on beside its recipe."""
    folder = Path(synthesis.__file__).parent
    names = ("encoding.py", "fullreference.py", "planes.py", "resampling.py")
    return [
        code_digest(Path(__file__), Path(sources.__file__), *(folder / name for name in names)),
        av.__version__,
        np.__version__,
    ]
