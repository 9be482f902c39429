"""Small clip stores and tables for tests that need no video."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.build import build_store
from cache.store import ArraySpec, Failed, Job, Rows, Unit
from pipeline.core.manifest import ScoreScale, write_labels, write_scales, write_videos
from tests.tables import label_row, video_row

VIEWS = 2
SHAPE = (8, 112, 112, 3)


def names(count: int) -> list[str]:
    return [f"v{number:03d}" for number in range(count)]


def digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def pixels_of(name: str, views: int = VIEWS, shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint8]:
    """Noise whose strength is the video's quality, so that there is something to learn."""
    number = int(name[1:])
    generator = np.random.Generator(np.random.Philox(number))
    noise = generator.normal(128.0, 2.0 + 3.0 * (number % 16), size=(views, *shape))
    return np.clip(noise, 0, 255).astype(np.uint8)


def write_tables(folder: Path, video_ids: Sequence[str]) -> None:
    """Tables in which one content in four is validation and one is test."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = ("train", "train", "val", "test")
    write_videos(folder / "videos.csv", [video_row(name) for name in video_ids])
    labels = [
        label_row(name, mos=100.0 - 6.0 * (int(name[1:]) % 16), split=splits[int(name[1:]) % 4]) for name in video_ids
    ]
    write_labels(folder / "labels.csv", labels)
    write_scales(folder / "dataset.json", {"x": ScoreScale(score_name="MOS", low=0.0, high=100.0)})


def write_clips(path: Path, video_ids: Sequence[str], *, failed: Sequence[str] = (), views: int = VIEWS) -> None:
    """A clip store with one view set, ``main``."""

    def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
        for job in jobs:
            name = job.unit.video_id
            yield job, Failed("no such file") if name in failed else Rows(arrays={"main": pixels_of(name, views)})

    spec = ArraySpec(name="main", dtype="uint8", shape=SHAPE, dims=("t", "h", "w", "c"), fingerprint={"policy": "test"})
    units = [
        Unit(video_id=name, video_digest=digest_of(name), source=digest_of(name), num_rows=views) for name in video_ids
    ]
    build_store(path, kind="clips", specs=[spec], units=units, compute=compute, pool=None, max_failed=len(failed))
