"""How fast the row store is, as ratios within one run: trust them to about a factor of two.

``python -m benchmarks.cache`` prints one JSON document; each function here gives one part of it.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cache import ArraySpec, Failed, Job, Pool, Rows, Unit, build_store, open_store
from cache.chunks import checksum
from cache.cli import describe

EMBEDDING = ArraySpec("embedding", "float16", (768,), ("channel",), {"benchmark": 1})
CLIP = ArraySpec("clip", "uint8", (8, 64, 64, 3), ("t", "h", "w", "c"), {"benchmark": 1})
VIEWS = 2


def _units(count: int) -> list[Unit]:
    names = (f"video{number:06d}" for number in range(count))
    return [Unit(name, hashlib.sha256(name.encode()).hexdigest(), name, VIEWS) for name in names]


def _compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
    for job in jobs:
        random = np.random.default_rng(int(job.unit.source[5:]))
        arrays = {
            "embedding": random.standard_normal((VIEWS, *EMBEDDING.shape), np.float32),
            "clip": random.integers(0, 256, (VIEWS, *CLIP.shape), np.uint8),
        }
        yield job, Rows({name: arrays[name] for name in job.arrays}, {"decoder": ["none"] * VIEWS})


def _build(path: Path, count: int, pool: Pool, specs: Sequence[ArraySpec] = (EMBEDDING, CLIP)) -> float:
    start = time.perf_counter()
    build_store(
        path, kind="benchmark", specs=specs, units=_units(count), columns=("decoder",), compute=_compute, pool=pool
    )
    return time.perf_counter() - start


def _best(work: Callable[[], object], repeats: int = 5) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def build_ratios(folder: Path, num_videos: int = 1000) -> dict[str, float]:
    """Time an unchanged build and one with one video more, against building from nothing.

    What a teacher would cost is left out: rows are random numbers, so the ratios are the worst there can be.

    Args:
        folder: an empty folder.
        num_videos: small videos, of two views each.

    Returns:
        Seconds from nothing, and the other two as fractions of it.
    """
    pool = Pool(folder / "pool")
    nothing = _build(folder / "store.zarr", num_videos, pool)
    unchanged = min(_build(folder / "store.zarr", num_videos, pool) for _ in range(2))
    added = _build(folder / "store.zarr", num_videos + 1, pool)
    adopted = _build(folder / "store.zarr", num_videos + 1, Pool(folder / "empty pool"))
    return {
        "num_videos": num_videos,
        "from_nothing_seconds": nothing,
        "unchanged_ratio": unchanged / nothing,
        "one_added_ratio": added / nothing,
        "adopted_ratio": adopted / nothing,
    }


def verify_ratio(folder: Path, num_videos: int = 1000) -> dict[str, float]:
    """Time ``verify`` against reading every file and its crc32c, and against building from nothing.

    Args:
        folder: an empty folder.
        num_videos: small videos, of two views each.
    """
    path = folder / "store.zarr"
    nothing = _build(path, num_videos, Pool(folder / "pool"))
    store = open_store(path)
    problems = store.verify()
    if problems:
        raise RuntimeError(f"got {len(problems)} problems, the first {problems[0]}; expected none")
    files = [file for file in path.rglob("*") if file.is_file()]
    verify = _best(store.verify, 3)
    crc = _best(lambda: [checksum(file.read_bytes()) for file in files], 3)
    num_bytes = sum(file.stat().st_size for file in files)
    return {
        "verify_mb_per_second": num_bytes / verify / 1e6,
        "verify_to_crc32c_read_ratio": verify / crc,
        "verify_to_build_ratio": verify / nothing,
    }


def gather_ratio(folder: Path, num_videos: int = 4000, batch: int = 256) -> dict[str, float]:
    """Time shuffled batches of embeddings read through the store against numpy's own gather from RAM.

    Args:
        folder: an empty folder.
        num_videos: videos, of two views each.
        batch: rows per batch.
    """
    path = folder / "store.zarr"
    _build(path, num_videos, Pool(folder / "pool", durable=False), (EMBEDDING,))
    rows = np.random.default_rng(0).permutation(num_videos * VIEWS)
    batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    in_ram, mapped = open_store(path), open_store(path, ram_bytes=0)
    whole = in_ram.read("embedding", np.arange(len(in_ram)))

    def through(read: Callable[[Any], object]) -> float:
        return _best(lambda: [read(rows) for rows in batches])

    numpy = through(lambda rows: whole[rows])
    return {
        "numpy_rows_per_second": len(rows) / numpy,
        "ram_ratio": through(lambda rows: in_ram.read("embedding", rows)) / numpy,
        "memory_map_ratio": through(lambda rows: mapped.read("embedding", rows)) / numpy,
    }


def clip_ratio(folder: Path, num_videos: int = 500, batch: int = 16) -> dict[str, float]:
    """Time shuffled batches of clips read from their videos' files against a memory map of one file of all clips.

    Args:
        folder: an empty folder.
        num_videos: videos, of two views each.
        batch: rows per batch.
    """
    path = folder / "store.zarr"
    _build(path, num_videos, Pool(folder / "pool", durable=False), (CLIP,))
    store = open_store(path)
    everything = np.arange(len(store))
    flat = np.memmap(folder / "flat", np.uint8, "w+", shape=(len(store), *CLIP.shape))
    flat[:] = store.read("clip", everything)
    rows = np.random.default_rng(0).permutation(len(store))
    batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    numpy = _best(lambda: [flat[rows] for rows in batches])
    files = _best(lambda: [store.read("clip", rows) for rows in batches])
    return {"memory_map_clips_per_second": len(rows) / numpy, "files_ratio": files / numpy}


def open_seconds(folder: Path, num_videos: int = 1000) -> dict[str, float]:
    """Time opening a store and describing it.

    Args:
        folder: an empty folder.
        num_videos: small videos, of two views each.
    """
    path = folder / "store.zarr"
    _build(path, num_videos, Pool(folder / "pool", durable=False))
    return {"open_seconds": _best(lambda: open_store(path)), "info_seconds": _best(lambda: describe(open_store(path)))}


def run(num_videos: int = 1000) -> dict[str, dict[str, float]]:
    """Run every measurement in folders of their own.

    Args:
        num_videos: small videos for the builds.
    """
    told = {}
    parts: list[Callable[[Path], dict[str, float]]] = [
        lambda folder: build_ratios(folder, num_videos),
        lambda folder: verify_ratio(folder, num_videos),
        gather_ratio,
        clip_ratio,
        lambda folder: open_seconds(folder, num_videos),
    ]
    for name, part in zip(("build", "verify", "gather", "clips", "open"), parts, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            told[name] = part(Path(folder))
    return told


def main() -> None:
    """Print every measurement as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-videos", type=int, default=1000)
    print(json.dumps(run(parser.parse_args().num_videos), indent=1))


if __name__ == "__main__":
    main()
