"""Building a store: look up, adopt, compute what is left, and put it all together."""

import itertools
import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.build.adopt import Source, adopt_rows
from cache.build.assemble import Assembly, Plan, check_replaceable
from cache.build.pool import Entry, Pool
from cache.store.chunks import disk_errors
from cache.store.errors import SpecError
from cache.store.fingerprint import plain
from cache.store.layout import MOST_CHUNK_BYTES
from cache.store.precision import Stored, to_stored
from cache.store.replacing import publish, workplace
from cache.store.specs import (
    ArraySpec,
    BuildReport,
    Failed,
    Job,
    Rows,
    TooManyFailedError,
    Unit,
    check_name,
    check_text,
)

logger = logging.getLogger(__name__)
Compute = Callable[[Sequence[Job]], Iterator[tuple[Job, Rows | Failed]]]


def make_plan(
    kind: str,
    specs: Sequence[ArraySpec],
    units: Sequence[Unit],
    columns: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> Plan:
    """Check what is asked for, and put it in canonical order.

    Raises:
        SpecError: it is not something a store can hold.
    """
    names = [*(spec.name for spec in specs), *columns]
    for column in columns:
        check_name(column, "column")
    twice = {name for name in names if names.count(name) > 1}
    if twice or not specs:
        raise SpecError(f"got arrays and columns {names}; expected at least one array, and every name once")
    sizes: dict[str, int] = {}
    for spec in specs:
        for dim, size in zip(spec.dims, spec.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise SpecError(
                    f"{spec.name}: dimension {dim!r} has size {size} here and {sizes[dim]} in another array; "
                    f"xarray allows one size per name; call it {spec.name}_{dim}"
                )
    for unit in units:
        for spec in specs:
            if unit.num_rows * spec.row_bytes > MOST_CHUNK_BYTES:
                raise SpecError(f"{spec.name}: got more than {MOST_CHUNK_BYTES} bytes per video; expected fewer views")
    ordered = tuple(sorted(units, key=lambda unit: unit.video_id))
    if not ordered:
        raise SpecError("got no videos; a store holds at least one")
    for one, next_one in itertools.pairwise(ordered):
        if one.video_id == next_one.video_id:
            raise SpecError(f"got the video {one.video_id!r} twice; expected every video_id once")
        if one.num_rows != next_one.num_rows:
            raise SpecError(
                f"got {one.num_rows} views of {one.video_id!r} and {next_one.num_rows} of {next_one.video_id!r}; "
                "expected the same number for every video"
            )
    return Plan(kind, tuple(specs), ordered, tuple(columns), plain(metadata or {}))


@dataclass
class Progress:
    """What is known so far.

    Attributes:
        entries: finished rows by (recipe, unit key).
        failures: reason by unit key.
        computed: keys of which something was computed now.
        adopted: keys of which something was adopted now.
    """

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)

    def missing(self, plan: Plan) -> list[Job]:
        """List what still has to be computed: one job per content, in canonical order."""
        jobs: dict[str, Job] = {}
        for unit in plan.units:
            arrays = tuple(spec.name for spec in plan.specs if (spec.recipe, unit.key) not in self.entries)
            if arrays and unit.key not in jobs:
                jobs[unit.key] = Job(unit, arrays)
        return list(jobs.values())

    def report(self, plan: Plan) -> BuildReport:
        """Count rows."""
        counts = dict.fromkeys(("failed", "computed", "adopted", "reused"), 0)
        seen: set[str] = set()
        for unit in plan.units:
            if unit.key in self.failures:
                state = "failed"
            elif unit.key in seen:
                state = "reused"
            else:
                state = "computed" if unit.key in self.computed else "adopted" if unit.key in self.adopted else "reused"
            seen.add(unit.key)
            counts[state] += unit.num_rows
        failures = {unit.video_id: self.failures[unit.key] for unit in plan.units if unit.key in self.failures}
        return BuildReport(rows=plan.layout.num_rows, failures=failures, **counts)


def build_store(
    path: str | os.PathLike[str],
    *,
    kind: str,
    specs: Sequence[ArraySpec],
    units: Sequence[Unit],
    compute: Compute,
    pool: Pool | None,
    columns: Sequence[str] = (),
    adopt: Sequence[Source] = (),
    max_failed: int = 0,
    metadata: Mapping[str, Any] | None = None,
) -> BuildReport:
    """Build a store, computing only what neither the pool nor an older store has.

    Args:
        path: where it goes; a store already there is replaced in one step, and adopted from.
        kind: what the rows are, such as ``clips``.
        specs: the arrays.
        units: the videos, in any order; two with the same source share their rows.
        compute: called once with every missing job, unless none is missing; yields results in any order.
        pool: where finished rows are stored; None stores them only in the store.
        columns: names of the text columns; ``<array>_...`` belongs to that array, any other to the row as such.
        adopt: older stores to take rows from before computing.
        max_failed: how many videos may fail.
        metadata: plain JSON to put in the store; must not depend on time, host or path.

    Returns:
        What was done.

    Raises:
        TooManyFailedError: more videos failed; the rows of all others are in the pool, and the old store still stands.
        SpecError: what is asked for, or what ``compute`` yielded, does not fit.
        PoolError: the pool cannot be used.
        DiskError: the disk refuses.
        StoreError: something that is not a store is at ``path``.
    """
    place, plan = Path(path), make_plan(kind, specs, units, columns, metadata)
    check_replaceable(place)
    with ExitStack() as stack:
        with disk_errors(f"prepare {place}"):
            folder = stack.enter_context(workplace(place))
        if pool is None:
            pool = Pool(folder / "pool", durable=False)
        stack.enter_context(pool.locked(plan.specs))
        progress = Progress()
        _look_up(plan, pool, progress)
        adopt_rows(plan, pool, [*adopt, place], progress.entries, progress.adopted)
        _compute(plan, pool, compute, progress)
        report = progress.report(plan)
        if len(report.failures) > max_failed:
            raise TooManyFailedError(report, max_failed)
        with disk_errors(f"write {place}"):
            Assembly(plan, progress.entries, progress.failures, folder / "store").write()
            publish(folder / "store", place, durable=True)
    logger.info("%s: %s", place, report)
    return report


def _look_up(plan: Plan, pool: Pool, progress: Progress) -> None:
    for spec in plan.specs:
        owned = set(plan.owned(spec))
        for unit in plan.units:
            if (spec.recipe, unit.key) in progress.entries:
                continue
            entry = pool.find(spec, unit)
            if entry is not None and owned <= entry.columns.keys():
                progress.entries[spec.recipe, unit.key] = entry


def _compute(plan: Plan, pool: Pool, compute: Compute, progress: Progress) -> None:
    jobs = progress.missing(plan)
    if not jobs:
        return
    for spec in plan.specs:
        pool.check_writable(spec)
    outstanding = {job.unit.key: job for job in jobs}
    specs = {spec.name: spec for spec in plan.specs}
    with ExitStack() as stack:
        results = compute(jobs)
        if isinstance(results, Generator):
            stack.callback(results.close)
        for answered, result in results:
            job = outstanding.pop(answered.unit.key, None)
            if job is None:
                raise SpecError(f"got a result for {answered.unit.video_id}, which was not asked for, or was answered")
            stored = result if isinstance(result, Failed) else _accept(plan, job, result, specs)
            if isinstance(stored, Failed):
                progress.failures[job.unit.key] = stored.reason
                logger.warning("%s failed: %s", job.unit.video_id, stored.reason)
                continue
            assert isinstance(result, Rows)
            for name in job.arrays:
                spec = specs[name]
                texts = {column: result.columns[column] for column in plan.owned(spec)}
                progress.entries[spec.recipe, job.unit.key] = pool.put(spec, job.unit, stored[name], texts)
            progress.computed.add(job.unit.key)
    if outstanding:
        names = [job.unit.video_id for job in outstanding.values()]
        raise SpecError(f"got no result for {len(names)} video(s), the first {names[0]!r}; expected rows or Failed")


def _accept(plan: Plan, job: Job, result: Rows, specs: Mapping[str, ArraySpec]) -> dict[str, Stored] | Failed:
    unit = job.unit
    if set(result.arrays) != set(job.arrays):
        raise SpecError(f"{unit.video_id}: got arrays {sorted(result.arrays)}; expected {sorted(job.arrays)}")
    needed = {column for name in job.arrays for column in plan.owned(specs[name])}
    unknown = result.columns.keys() - set(plan.columns)
    if unknown or not needed <= result.columns.keys():
        raise SpecError(f"{unit.video_id}: got columns {sorted(result.columns)}; expected {sorted(needed)}")
    for column, texts in result.columns.items():
        if isinstance(texts, str) or len(texts) != unit.num_rows:
            raise SpecError(f"{unit.video_id}: column {column!r} is not {unit.num_rows} texts")
        for text in texts:
            check_text(text, f"{unit.video_id}: in column {column!r}")
    accepted: dict[str, Stored] = {}
    for name in job.arrays:
        stored = to_stored(specs[name], unit.num_rows, result.arrays[name])
        if isinstance(stored, Failed):
            return stored
        accepted[name] = stored
    return accepted
