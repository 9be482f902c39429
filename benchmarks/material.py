"""What measures are taken on: stores of random rows, a data set with clips and targets, real videos, small models."""

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cache.build import Pool, build_store
from cache.store import ArraySpec, Failed, Job, Rows, Unit
from pipeline.core.manifest import Split, Video
from pipeline.rendering.policy import ViewPolicy
from pipeline.students.distillation.settings import DistillSettings
from stages.params import load_params

if TYPE_CHECKING:  # torch is loaded by those measures alone that train
    from pipeline.students.data.rows import DataPaths
    from pipeline.students.distillation.distill import TrainingResult

EMBEDDING = ArraySpec("embedding", "float16", (768,), ("channel",), {"benchmark": 1})
SMALL_CLIP = ArraySpec("clip", "uint8", (8, 64, 64, 3), ("t", "h", "w", "c"), {"benchmark": 1})
VIEW = ViewPolicy(policy="fragments", sampling="uniform", num_frames=8, size=112, grid=4, antialias=False)
"""The default view set."""
CLIP_SHAPE = (VIEW.num_frames, VIEW.size, VIEW.size, 3)
Arrays = dict[str, NDArray[Any]]


def units(count: int, num_views: int = 2) -> list[Unit]:
    """Units of work of videos that do not exist."""
    names = (f"video{number:07d}" for number in range(count))
    return [Unit(name, hashlib.sha256(name.encode()).hexdigest(), name, num_views) for name in names]


def compute_by(
    rows_of: Callable[[Unit], Arrays], columns_of: Callable[[Unit, Arrays], Mapping[str, Sequence[str]]]
) -> Callable[[Sequence[Job]], Iterator[tuple[Job, Rows | Failed]]]:
    """A ``compute`` for ``build_store`` from functions of one unit."""

    def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
        for job in jobs:
            arrays = rows_of(job.unit)
            yield (
                job,
                Rows(
                    {name: arrays[name] for name in job.arrays},
                    {name: list(texts) for name, texts in columns_of(job.unit, arrays).items()},
                ),
            )

    return compute


def random_rows(specs: Sequence[ArraySpec]) -> Callable[[Unit], Arrays]:
    """Rows that follow from the unit's key: a slice of fixed noise, so that making them costs nearly nothing."""
    noise = np.random.default_rng(0).integers(0, 256, 1 << 24, np.uint8)

    def rows_of(unit: Unit) -> Arrays:
        arrays: Arrays = {}
        seed = int.from_bytes(hashlib.sha256(unit.key.encode()).digest()[:4], "big")
        for spec in specs:
            count = unit.num_rows * int(np.prod(spec.shape))
            first = seed % 65_521
            taken = np.take(noise, np.arange(first, first + count), mode="wrap").reshape(unit.num_rows, *spec.shape)
            taken[..., 0] ^= np.uint8(seed & 0xFF)
            arrays[spec.name] = taken if spec.dtype == "uint8" else taken.astype(np.float32) / 64 - 2
        return arrays

    return rows_of


def write_random_store(
    path: Path,
    *,
    num_videos: int,
    specs: Sequence[ArraySpec] = (EMBEDDING, SMALL_CLIP),
    num_views: int = 2,
    pool: Pool | None = None,
) -> Path:
    """Builds a store of random rows with one text column, from nothing but what the pool has."""
    build_store(
        path,
        kind="benchmark",
        specs=specs,
        units=units(num_videos, num_views),
        columns=("decoder",),
        compute=compute_by(random_rows(specs), lambda unit, _: {"decoder": ["none"] * unit.num_rows}),
        pool=pool,
    )
    return path


def write_teacher(folder: Path, variant: str = "default", *, num_frames: int = 8) -> Path:
    """A teacher's folder as ``adapt`` writes it, with random weights.

    Args:
        folder: to write.
        variant: ``default`` (the embedded data set's), or an official size such as ``S14``.
        num_frames: per clip, of an official size.
    """
    import torch

    from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, variant_config
    from pipeline.teachers import internvideo2_tiny
    from pipeline.teachers.adaptation.initial import teacher_config
    from pipeline.teachers.shared.preprocessing import FINETUNED
    from pipeline.teachers.shared.saved import save_teacher

    torch.manual_seed(0)
    if variant == "default":
        own = teacher_config("internvideo2_tiny").to_dict()
        config, preprocessing = InternVideo2Config(**{**own, "num_classes": 1}), internvideo2_tiny.PREPROCESSING
    else:
        config, preprocessing = variant_config(variant, num_frames=num_frames, num_classes=400), FINETUNED
    folder.mkdir(parents=True, exist_ok=True)
    save_teacher(
        InternVideo2(config), folder, teacher=variant, view_set="main", adapted=False, preprocessing=preprocessing
    )
    return folder


def write_videos(
    folder: Path, count: int, *, width: int = 320, height: int = 180, num_frames: int = 24, distinct: int = 3
) -> list[Path]:
    """Real H.264 files of procedural sources.

    Args:
        folder: made when missing.
        count: how many files, all with different bytes.
        width: in px.
        height: in px.
        num_frames: of each.
        distinct: how many have pictures of their own; the others are copies that end in a box no decoder reads.
    """
    from pipeline.synthesis.encoding import Recipe, encode
    from pipeline.synthesis.planes import Shape
    from pipeline.synthesis.sources import render

    folder.mkdir(parents=True, exist_ok=True)
    shape = Shape(width=width, height=height, num_frames=num_frames)
    recipe = Recipe(codec="h264", crf=30, preset="veryfast")
    bodies = [encode(render("leaves", ("benchmark", number), shape), recipe) for number in range(min(distinct, count))]
    paths = [folder / f"video{number:07d}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(bodies[number % len(bodies)] + struct.pack(">I4sQ", 16, b"free", number))
    return paths


def write_run(
    root: Path, *, splits: Mapping[Split, int], num_views: int = 2, clip_shape: tuple[int, int, int, int] = CLIP_SHAPE
) -> Path:
    """A data set whose clips and targets are noise: tables, ``clips.zarr`` and ``targets.zarr``.

    The targets are those that the default losses read, in the default teacher's shapes.

    Args:
        root: the folder ``data`` is written there.
        splits: how many videos each split has.
        num_views: per video.
        clip_shape: ``t h w c``.

    Returns:
        The folder ``data``.
    """
    from pipeline.core.manifest import CLIP_DIGEST, Label, ScoreScale, write_labels, write_scales
    from pipeline.core.manifest import write_videos as write_table

    data = root / "data"
    data.mkdir(parents=True, exist_ok=True)
    places = [split for split, count in splits.items() for _ in range(count)]
    given = units(len(places), num_views)
    write_table(data / "videos.csv", [table_row(unit) for unit in given])
    labels = [
        Label(
            video_id=unit.video_id,
            mos=float(number * 37 % 100),
            content=unit.video_id,
            codec="h264",
            level=str(number % 8),
            split=split,
            labelled=True,
        )
        for number, (unit, split) in enumerate(zip(given, places, strict=True))
    ]
    write_labels(data / "labels.csv", labels)
    write_scales(data / "dataset.json", {"benchmark": ScoreScale(score_name="none", low=0.0, high=100.0)})
    clip = ArraySpec(
        "main", "uint8", clip_shape, ("t", "h", "w", "c"), {"view": {"policy": VIEW.policy, "grid": VIEW.grid}}
    )
    kinds = [
        ArraySpec("embedding_normed", "float16", (256,), ("channel",), {"benchmark": 1}),
        ArraySpec("logits", "float16", (1,), ("class",), {"benchmark": 1}),
        ArraySpec(
            "tokens", "float16", (2, 4, 4, 192), ("token_t", "token_h", "token_w", "token_channel"), {"benchmark": 1}
        ),
    ]
    clips_of, targets_of = random_rows([clip]), random_rows(kinds)

    def pixel_digests(unit: Unit, _: Arrays) -> dict[str, list[str]]:
        return {CLIP_DIGEST: [hashlib.sha256(row.tobytes()).hexdigest() for row in clips_of(unit)["main"]]}

    build_store(
        data / "clips.zarr",
        kind="clips",
        specs=[clip],
        units=given,
        compute=compute_by(clips_of, lambda *_: {}),
        pool=None,
    )
    build_store(
        data / "targets.zarr",
        kind="targets",
        specs=kinds,
        units=given,
        columns=[CLIP_DIGEST],
        compute=compute_by(targets_of, pixel_digests),
        pool=None,
    )
    return data


def table_row(unit: Unit, path: Path | None = None, **geometry: Any) -> Video:
    """A row of ``videos.csv``; without a path, of a video that does not exist."""
    facts: dict[str, Any] = {
        "width": 320,
        "height": 180,
        "fps": 30.0,
        "num_frames": 24,
        "pix_fmt": "yuv420p",
    } | geometry
    name = path.name if path else f"{unit.video_id}.mp4"
    return Video(video_id=unit.video_id, path=f"videos/{name}", sha256=unit.video_digest, dataset="benchmark", **facts)


def distill_settings(**changes: Any) -> DistillSettings:
    """The default's student and settings, but for what is changed."""
    return load_params(Path(__file__).parents[1] / "params.yaml").distill.model_copy(update=changes)


def train_anew(settings: DistillSettings, paths: "DataPaths") -> "TrainingResult":
    """The stage's training, of which nothing stays that an equal one would go on from."""
    from pipeline.students.distillation.distill import distill

    result = distill(settings, paths, device="cpu")
    result.forget()
    return result
