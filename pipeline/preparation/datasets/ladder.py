"""Your own ladder: pristine videos in, encodes at every codec, level and size out, labelled by a full-reference metric:
MS-SSIM or PSNR by torchmetrics, VMAF by an ``ffmpeg`` that has it.

Put 8-bit 4:2:0 videos (raw ``.yuv`` with its size in the name, ``.y4m``, or anything that PyAV reads) into
``data/raw/ladder/``. Each source is a content. An encode at a lower resolution is delivered as it is, and compared
after it was scaled back. Finished encodes are kept in ``.teachonce/made``, so a run that was stopped goes on where it
was, and a level more encodes that level only.

Left out: sound, 10 bits, variable frame rates (a source's mean rate, rounded, is written).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import av
import numpy as np
from pydantic import Field, field_validator

from cache.store.scratch import scratch_folder
from pipeline import synthesis
from pipeline.core.errors import PipelineError
from pipeline.core.files import file_digest
from pipeline.core.manifest import ManifestError, ScoreScale, resolve
from pipeline.core.settings import Count, Section
from pipeline.preparation.datasets.shared.brought import tell
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry, Progress
from pipeline.preparation.datasets.shared.files import VIDEO_SUFFIXES, files_below
from pipeline.preparation.datasets.shared.full_reference import SMALLEST_PX, TOO_SMALL, made_by, ms_ssim, psnr
from pipeline.preparation.datasets.shared.made import Made, code_digest, key_of
from pipeline.preparation.datasets.shared.tables import raise_all
from pipeline.preparation.datasets.shared.vmaf import find_vmaf, vmaf
from pipeline.synthesis import fullreference
from pipeline.synthesis.encoding import CODECS, CONTAINERS, PRESETS, Codec, Recipe, decode, encode, resized
from pipeline.synthesis.planes import Byte, Video420
from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders import auto
from pipeline.video.pictures import PlanarPicture
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

NAME = "ladder"
SCALES = {
    "ms_ssim": ScoreScale(score_name=fullreference.SCORE_NAME, low=0.0, high=100.0),
    "psnr": ScoreScale(score_name="pseudo-MOS (PSNR, dB)", low=0.0, high=50.0),
    "vmaf": ScoreScale(score_name="pseudo-MOS (VMAF)", low=0.0, high=100.0),
}
DOWNLOAD = tell(NAME, "Expected: pristine videos, 8-bit 4:2:0, one per content.")
_ENCODE_SECONDS = 6 * 3600.0

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
    """Codec → the encoder's preset; what is left out takes the slowest of ``pipeline/synthesis/encoding.py``."""
    gop: Count = 64
    """Longest distance between key frames, in frames."""
    max_frames: Count = 250
    """Of a source, from its first; a whole source is held in memory while it is encoded."""
    score: Literal["ms_ssim", "psnr", "vmaf"] = "ms_ssim"
    """``vmaf`` needs an ``ffmpeg`` with libvmaf on the PATH."""
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
        source: the pristine file.
        recipe: its encode.
        settings: of the ladder.
        key: of the finished file.
        target: where it goes.
        made: where finished files are kept.
    """

    source: Path
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
        DatasetError: there are no sources, or some cannot be used.
        LadderError: an encode failed.
    """
    sources = _sources(settings, data_root)
    scorer = find_vmaf() if settings.score == "vmaf" else made_by()
    folder = data_root / "videos" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    made = Made(scratch_folder(data_root))
    rungs = [rung for source in sources for rung in _rungs(source, settings, folder, made, [*_made_by(), scorer])]
    scores: dict[str, float] = {}
    limits = Limits(seconds=_ENCODE_SECONDS)
    for done, (index, outcome) in enumerate(LocalWorkers(workers, limits).map(_make, rungs), start=1):
        if isinstance(outcome, str | Lost):
            reason = outcome if isinstance(outcome, str) else outcome.reason
            raise LadderError(f"{rungs[index].target.name} could not be made: {reason}; what is finished is kept")
        scores[rungs[index].target.name] = outcome
        if progress is not None:
            progress(done, len(rungs))
    for path in folder.iterdir():
        if path.name not in scores:
            path.unlink()
    return sorted((_entry(rung, scores) for rung in rungs), key=lambda entry: entry.video_id)


def _sources(settings: Settings, data_root: Path) -> list[Path]:
    try:
        folder = resolve(data_root, settings.folder)
    except ManifestError as error:
        raise DatasetError(f"prepare.options.{NAME}.folder: {error}") from None
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder}", advice=DOWNLOAD)
    problems: list[str] = []
    names = files_below(folder, data_root, problems.append)
    found = [folder / name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES]
    if not found:
        raise DatasetError(*problems, f"{folder} has no pristine videos", advice=DOWNLOAD)
    by_stem: dict[str, Path] = {}
    for path in found:
        if path.stem in by_stem:
            problems.append(f"{path} and {by_stem[path.stem]} have one name, as their encodes would; rename one")
        by_stem[path.stem] = path
        try:
            with auto.open(path, options=DecodeOptions()) as video:
                info = video.info
        except DecodeError as error:
            problems.append(f"{path}: {error}")
            continue
        if info.pix_fmt not in ("yuv420p", "yuvj420p") or info.width % 2 or info.height % 2 or info.rotation:
            problems.append(
                f"{path}: got {info.pix_fmt}, {info.width}x{info.height} px, rotated by {info.rotation} degrees; "
                "expected yuv420p with even sides, upright; convert it first"
            )
        if settings.score == "ms_ssim" and min(info.width, info.height) < SMALLEST_PX:
            problems.append(f"{path}: got {info.width}x{info.height} px; {TOO_SMALL}")
    raise_all(problems)
    return found


def _rungs(source: Path, settings: Settings, folder: Path, made: Made, made_by: list[str]) -> list[_Rung]:
    with auto.open(source, options=DecodeOptions()) as video:
        fps = max(1, round(video.info.fps or 25))
    digest = file_digest(source)
    rungs = []
    for codec in (codec for codec in CODECS if codec in settings.crf):
        for crf in sorted(set(settings.crf[codec])):
            for size in sorted(set(settings.sizes)):
                preset = settings.presets.get(codec, PRESETS[codec][-1])
                recipe = Recipe(codec=codec, crf=crf, preset=preset, gop=settings.gop, scale=size, fps=fps)
                shown = {"max_frames": settings.max_frames, "score": settings.score, "scored": settings.scored_frames}
                key = key_of({"source": digest, "name": source.name, "recipe": recipe.text(), "code": made_by, **shown})
                share = "" if size == 1.0 else f"_{size:g}"
                name = f"{source.stem}_{codec}_{crf}{share}.{CONTAINERS[codec]}"
                rungs.append(_Rung(source, recipe, settings, key, folder / name, made))
    return rungs


def _make(rung: _Rung) -> float | str:
    """Encodes and scores, or finds what was made before; what a worker process does.

    Returns:
        The score, or what went wrong.
    """
    facts = rung.made.find(rung.key)
    if facts is None:
        try:
            source = _read(rung.source, rung.settings.max_frames)
            file = encode(source, rung.recipe)
            facts = {"mos": round(_score(rung, source, file), 4)}
        except PipelineError as error:
            return str(error)
        rung.made.keep(rung.key, file, facts)
    rung.made.place(rung.key, rung.target)
    return float(facts["mos"])


def _read(path: Path, max_frames: int) -> Video420:
    """The first frames of a source, as they are stored."""
    planes: list[tuple[Byte, Byte, Byte]] = []
    with auto.open(path, options=DecodeOptions()) as video:
        for _, picture in video.frames(range(min(max_frames, video.info.num_frames))):
            if not isinstance(picture, PlanarPicture) or picture.u is None or picture.v is None:
                raise DatasetError(f"{path}: frames are not planar 4:2:0; convert it first")
            planes.append((picture.y.astype(np.uint8), picture.u.astype(np.uint8), picture.v.astype(np.uint8)))
    y, u, v = (np.stack(part) for part in zip(*planes, strict=True))
    return Video420(y, u, v)


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
        content=rung.source.stem,
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
    return [code_digest(Path(__file__), *(folder / name for name in names)), av.__version__, np.__version__]
