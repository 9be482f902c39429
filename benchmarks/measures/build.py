"""Building a store whose rows cost nothing to compute: unchanged, one video more, adopted; against from nothing.

What a teacher would cost is left out, so these ratios are the worst there can be.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, Setting, timed
from benchmarks.material import write_random_store
from cache.build import Pool

LIMIT = "the same store built from nothing, every row forced to the disk"


def figures(setting: Setting) -> Iterator[Figure]:
    """One figure per kind of build."""
    count = setting.size(1000, 5)
    seconds: dict[str, list[float]] = {"nothing changed": [], "one video more": [], "adopted, the pool lost": []}
    nothing = []
    for turn in range(setting.fewer(3)):
        folder = setting.folder / str(turn)
        path, pool = folder / "store.zarr", Pool(folder / "pool")
        nothing.append(_build(path, count, pool))
        seconds["nothing changed"].append(_build(path, count, pool))
        seconds["one video more"].append(_build(path, count + 1, pool))
        seconds["adopted, the pool lost"].append(_build(path, count + 1, Pool(folder / "empty")))
    for what, times in seconds.items():
        yield Figure(
            what=f"a store of {count} videos, {what}",
            against="from nothing",
            ratios=[ours / limit for ours, limit in zip(times, nothing, strict=True)],
            detail={"ours_seconds": statistics.median(times), "limit_seconds": statistics.median(nothing)},
        )


def _build(path: Path, num_videos: int, pool: Pool) -> float:
    return timed(lambda: write_random_store(path, num_videos=num_videos, pool=pool))[0]
