"""A tiny data set with its clips and targets, made in a second, for tests of whatever reads them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cache.build import build_store
from cache.store import ArraySpec, Failed, Job, Rows, Unit, open_store
from pipeline.core.manifest import CLIP_DIGEST, Label, ScoreScale, Video, write_labels, write_scales, write_videos
from pipeline.students.data.rows import DataPaths
from pipeline.students.distillation.settings import DistillSettings
from stages.params import load_params
from tests.imports import ROOT
from tests.tables import label_row, video_row

CLIP_SHAPE = (4, 28, 28, 3)
NUM_VIEWS = 2
TARGET_DIM = 32
LEVELS = (10, 25, 40)
SPLITS = {"train": 8, "val": 3, "test": 3}
PARAMS = ROOT / "params.yaml"


def make_videos() -> tuple[list[Video], list[Label]]:
    """Fourteen contents at three levels; the score falls with the level, and a little with the content."""
    videos, labels = [], []
    contents = [(split, index) for split, count in SPLITS.items() for index in range(count)]
    for number, (split, index) in enumerate(contents):
        for level in LEVELS:
            name = f"{split}{index}_{level}"
            videos.append(video_row(name, dataset="embedded", width=64, height=64, num_frames=50))
            about = {"content": f"{split}{index}", "codec": "h264" if index % 2 else "av1", "level": str(level)}
            labels.append(label_row(name, mos=95.0 - 2.0 * level - (number % 3), split=split, **about))
    return videos, labels


def clip_of(name: str, view: int, level: float) -> np.ndarray:
    """Noise of which ``level`` decides how much survives: more level, flatter clips."""
    generator = np.random.default_rng([view, *name.encode()])
    noise = generator.integers(0, 256, CLIP_SHAPE).astype(np.float64)
    return (128 + (noise - 128) * (50 - level) / 50).astype(np.uint8)


def embed(clips: np.ndarray) -> np.ndarray:
    """What stands in for a teacher: a fixed random map of contrast and colour, shape ``(n, TARGET_DIM)``."""
    pixels = clips.astype(np.float64) / 255
    statistics = np.stack([pixels.std((1, 2, 3, 4)), pixels.mean((1, 2, 3, 4)), *pixels.mean((1, 2, 3)).T], axis=1)
    weights = np.random.default_rng(7).normal(size=(statistics.shape[1], TARGET_DIM))
    return np.tanh(statistics @ weights)


def compute_by(
    function: Callable[[Unit], dict[str, np.ndarray]], columns: Mapping[str, Mapping[str, list[str]]]
) -> Any:
    """A ``compute`` for `build_store`: arrays from ``function``, columns by video."""

    def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
        for job in jobs:
            if job.unit.source == "broken":
                yield job, Failed("made to fail")
                continue
            arrays = function(job.unit)
            own = {name: list(texts[job.unit.video_id]) for name, texts in columns.items()}
            yield job, Rows({name: arrays[name] for name in job.arrays}, own)

    return compute


def write_tiny_run(
    root: Path,
    *,
    unlabelled: Sequence[str] = (),
    broken: Sequence[str] = (),
    logits_width: int = 1,
    kinds: Sequence[str] = ("embedding", "embedding_normed", "logits"),
    view: Mapping[str, Any] | None = None,
) -> DataPaths:
    """Writes tables, clips and targets under ``root/data``.

    Args:
        root: a folder.
        unlabelled: contents whose scores may not be used.
        broken: videos whose rows failed.
        logits_width: outputs of the teacher's head.
        kinds: targets; ``layers`` may be among them.
        view: what the clips' fingerprint says of the view set.
    """
    data = root / "data"
    videos, labels = make_videos()
    labels = [replace(label, labelled=label.content not in unlabelled) for label in labels]
    paths = DataPaths.below(data)
    write_videos(paths.videos, videos)
    write_labels(paths.labels, labels)
    write_scales(paths.scales, {"embedded": ScoreScale(score_name="pseudo-MOS", low=0.0, high=100.0)})
    for video, label in zip(videos, labels, strict=True):
        file = data / video.path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x" * (12_000 - 200 * int(label.level)))
    level_of = {label.video_id: float(label.level) for label in labels}

    def clips_of(unit: Unit) -> dict[str, np.ndarray]:
        name = unit.video_id
        return {"main": np.stack([clip_of(name, view, level_of[name]) for view in range(NUM_VIEWS)])}

    units = [
        Unit(video.video_id, video.sha256, "broken" if video.video_id in broken else video.sha256, NUM_VIEWS)
        for video in sorted(videos, key=lambda video: video.video_id)
    ]
    fingerprint = {"policy": "fragments"} | ({} if view is None else {"view": dict(view)})
    spec = ArraySpec("main", "uint8", CLIP_SHAPE, ("t", "h", "w", "c"), fingerprint)
    build_store(
        paths.clips,
        kind="clips",
        specs=[spec],
        units=units,
        compute=compute_by(clips_of, {}),
        pool=None,
        max_failed=len(broken) * NUM_VIEWS,
    )
    write_targets(paths, broken=broken, logits_width=logits_width, kinds=kinds)
    return paths


def write_targets(
    paths: DataPaths, *, broken: Sequence[str] = (), logits_width: int = 1, kinds: Sequence[str] = ()
) -> None:
    """Writes targets for the clips that are there."""
    clips = open_store(paths.clips)
    digests = clips.row_digests("main")
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (TARGET_DIM,),
        "embedding_normed": (TARGET_DIM,),
        "logits": (logits_width,),
        "layers": (2, TARGET_DIM),
    }
    specs = [
        ArraySpec(kind, "float16", shapes[kind], ("layer", f"{kind}_d")[2 - len(shapes[kind]) :], {"teacher": "tiny"})
        for kind in kinds
    ]

    def targets_of(unit: Unit) -> dict[str, np.ndarray]:
        pixels = clips.read("main", clips.rows_of(unit.video_id))
        embedding = embed(pixels).astype(np.float32)
        score = (pixels.std(axis=(1, 2, 3, 4)) / 80).astype(np.float32)[:, None]
        return {
            "embedding": embedding,
            "embedding_normed": embedding,
            "logits": np.repeat(score, logits_width, axis=1),
            "layers": np.stack([embedding, -embedding], axis=1),
        }

    units = [
        Unit(unit.video_id, unit.video_digest, "broken" if unit.video_id in broken else unit.video_digest, NUM_VIEWS)
        for unit in clips.units()
    ]
    columns = {CLIP_DIGEST: {unit.video_id: [digests[row] for row in clips.rows_of(unit.video_id)] for unit in units}}
    build_store(
        paths.targets,
        kind="targets",
        specs=specs,
        units=units,
        columns=[CLIP_DIGEST],
        compute=compute_by(targets_of, columns),
        pool=None,
        max_failed=len(broken) * NUM_VIEWS,
    )


def tiny_settings(**changes: Any) -> DistillSettings:
    """``params.yaml``'s ``distill`` section, cut down to a tiny student and three epochs."""
    student = {"embed_dim": 32, "depth": 2, "num_heads": 2, "pool_num_heads": 2}
    values = load_params(PARAMS).distill.model_dump() | {
        "student": "internvideo2",
        "options": {"internvideo2": student},
        "view_set": "main",
        "losses": {"mos_regression": 1.0, "feature_smoothl1": 1.0},
        "epochs": 3,
        "batch_size": 8,
        "warmup_epochs": 1.0,
        "patience": None,
        "weight_average": 0.0,
        "threads": 1,
        "seed": 1,
    }
    return DistillSettings.parse(values | changes, "distill")
