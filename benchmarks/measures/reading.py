"""Shuffled batches read through the store, against numpy's own gather; clips against one big memory map of all."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, Setting, Turns, at_least, in_turn
from benchmarks.material import EMBEDDING, SMALL_CLIP, write_random_store
from cache.store import Store, open_store

LIMIT = "numpy's gather with the same row numbers: the memory's and the page cache's own speed"
_BATCH = 256
_CLIPS = 16


def figures(setting: Setting) -> Iterator[Figure]:
    """Embeddings in RAM, embeddings larger than RAM is allowed to be, clips."""
    count = setting.size(8000, 40)
    path = write_random_store(setting.folder / "rows.zarr", num_videos=count, specs=[EMBEDDING])
    in_ram, mapped = open_store(path), open_store(path, ram_bytes=0)
    whole = in_ram.read("embedding", np.arange(len(in_ram)))
    flat = _flat(setting.folder / "rows", whole)
    batches = _shuffled(len(in_ram), _BATCH)
    for store, plain, what, against, goal in (
        (in_ram, whole, "batches of 256 embeddings, store in RAM", "numpy gather from RAM", 0.9),
        (mapped, flat, "batches of 256 embeddings, store larger than RAM", "numpy gather from a memory map", 0.5),
    ):
        turns = _turns(store, "embedding", plain, batches, setting.rounds * 2)
        rate = len(in_ram) / statistics.median(turns.ours)
        yield Figure(
            what=what,
            against=against,
            ratios=turns.rate_ratios(),
            goal=at_least(goal),
            detail={"rows_per_second": rate, **turns.detail()},
        )
    count = setting.size(500, 10)
    path = write_random_store(setting.folder / "clips.zarr", num_videos=count, specs=[SMALL_CLIP])
    store = open_store(path)
    flat = _flat(setting.folder / "clips", store.read("clip", np.arange(len(store))))
    turns = _turns(store, "clip", flat, _shuffled(len(store), _CLIPS), setting.rounds)
    yield Figure(
        what="batches of 16 clips of 96 KiB from their videos' files",
        against="numpy gather from one memory map of all",
        ratios=turns.rate_ratios(),
        detail={"clips_per_second": len(store) / statistics.median(turns.ours), **turns.detail()},
    )


def _turns(store: Store, name: str, plain: NDArray, batches: Sequence[NDArray[np.int64]], rounds: int) -> Turns:
    return in_turn(
        lambda: [store.read(name, rows) for rows in batches], lambda: [plain[rows] for rows in batches], rounds
    )


def _flat(path: Path, rows: NDArray) -> NDArray:
    """One raw file of all rows, memory-mapped; a plain array over it, which indexes faster than numpy's map class."""
    rows.tofile(path)
    return np.asarray(np.memmap(path, rows.dtype, "r", shape=rows.shape))


def _shuffled(count: int, size: int) -> list[NDArray[np.int64]]:
    rows = np.random.default_rng(0).permutation(count)
    return [rows[at : at + size] for at in range(0, count, size)]
