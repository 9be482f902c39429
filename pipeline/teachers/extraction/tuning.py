"""What ``extract`` would cost, and how many videos its batches should hold: measured once, then a tracked parameter.

The batch rule is part of the fingerprint, since sums may round differently in batches of another size. A size is
proposed only where a row's bits do not depend on its place in the batch or on its mates; otherwise a store that grows
would differ from one built at once.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cache.build import Pool
from cache.store import ArraySpec, Job, Unit, open_store
from pipeline.core.settings import RuntimeSettings
from pipeline.models.device import resolve_device
from pipeline.teachers.extraction.extractor import Extractor, Plan
from pipeline.teachers.extraction.targets import target_specs, target_units

_WORTH = 1.05
"""What a larger batch must gain over a smaller one to be preferred."""


@dataclass(frozen=True)
class Trial:
    """One size of batch.

    Attributes:
        videos_per_batch: the size.
        clips_per_second: the median over rounds, warm.
        place_free: whether a video's rows have the same bits in every place of the batch.
    """

    videos_per_batch: int
    clips_per_second: float
    place_free: bool


@dataclass(frozen=True)
class Proposal:
    """What was found."""

    trials: Sequence[Trial]

    @property
    def videos_per_batch(self) -> int:
        """The smallest size that no larger one beats by much."""
        allowed = [trial for trial in self.trials if trial.place_free or trial.videos_per_batch == 1]
        best = max(trial.clips_per_second for trial in allowed)
        return min(trial.videos_per_batch for trial in allowed if trial.clips_per_second * _WORTH >= best)

    def text(self) -> str:
        """For people: the trials, and the line to put into ``params.yaml``."""
        lines = [
            f"{trial.videos_per_batch:4d} videos per batch: {trial.clips_per_second:8.1f} clips/s"
            + ("" if trial.place_free else "  not proposed: bits depend on the place in the batch")
            for trial in self.trials
        ]
        return "\n".join([*lines, f"extract.videos_per_batch: {self.videos_per_batch}"])


def propose(plan: Plan, *, sizes: Sequence[int] = (1, 2, 4, 8, 16), rounds: int = 5) -> Proposal:
    """Measures the forward with batches of several sizes, as far as the device's memory goes.

    Args:
        plan: which teacher on which clips and device.
        sizes: videos per batch, ascending.
        rounds: forwards per size, after one to warm up.
    """
    store, extractor, kinds = open_store(plan.clips), Extractor(plan), plan.settings.kinds
    first = next(iter(dict.fromkeys(store.video_ids)))
    clips = store.read(plan.settings.view_set, store.rows_of(first))
    trials = []
    for size in sizes:
        batch = np.concatenate([clips] * size)
        try:
            place_free = extractor.is_place_free(clips, size)
            seconds = [_seconds(extractor, batch, kinds) for _ in range(rounds)]
        except torch.OutOfMemoryError:
            break
        trials.append(Trial(size, len(batch) / statistics.median(seconds), place_free))
    return Proposal(trials)


def _seconds(extractor: Extractor, batch: np.ndarray, kinds: Sequence[str]) -> float:
    """Of one forward; its results are on the CPU when it returns, so the device has finished."""
    start = time.perf_counter()
    extractor.forward(batch, kinds)
    return time.perf_counter() - start


def dry_run(plan: Plan, targets: Path, runtime: RuntimeSettings) -> str:
    """What ``extract`` would do: rows, bytes, and hours estimated from one video's real forward.

    Returns:
        Text for people; nothing is written.
    """
    store = open_store(plan.clips)
    specs = target_specs(plan.settings, plan.teacher)
    units = target_units(store, plan.settings.view_set)
    pool = Pool.locate()
    missing = [unit for unit in units if any(pool.find(spec, unit) is None for spec in specs)]
    row_bytes = sum(spec.row_bytes for spec in specs)
    seconds = _seconds_per_unit(plan, missing[0], specs) * len(missing) if missing else 0.0
    workers = runtime.workers if resolve_device(plan.device).type == "cpu" else 1
    return "\n".join(
        [
            f"{targets}: {len(store)} rows of {len(units)} videos, {len(store) * row_bytes:,} bytes "
            f"({', '.join(f'{spec.name} {spec.dtype}' for spec in specs)})",
            f"in the pool already: {len(units) - len(missing)} videos; to compute or adopt: {len(missing)}",
            f"estimate: {seconds / workers / 3600:.2f} hours on {resolve_device(plan.device)} "
            f"with {workers} worker(s), from one video's forward",
        ]
    )


def _seconds_per_unit(plan: Plan, unit: Unit, specs: Sequence[ArraySpec]) -> float:
    """Times one video after one warm-up."""
    extractor = Extractor(plan)
    job = Job(unit, tuple(spec.name for spec in specs))
    extractor(job)
    start = time.perf_counter()
    extractor(job)
    return time.perf_counter() - start
