"""Stage one: the teacher over every clip, once, into the target cache. The only place that runs the whole teacher.

The unit of work is one video's views, always one batch of just these: a row's bytes cannot depend on what else was
computed, in which order, or by how many workers. Where a GPU wants more, ``extract.videos_per_batch`` makes a batch of
several videos, always of the same size; ``tuning.py`` proposes how many, once, after looking whether a row's
bits depend on its place in the batch.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.build import Pool, build_store
from cache.build.dvc_source import last_committed
from cache.store import BuildReport, Failed, Job, Rows, TooManyFailedError, open_store
from cache.store.scratch import scratch_folder
from pipeline.core.files import write_json
from pipeline.core.manifest import CLIP_DIGEST
from pipeline.core.progress import track
from pipeline.core.settings import RuntimeSettings
from pipeline.models.device import resolve_device
from pipeline.teachers.extraction.extractor import Extractor, Plan
from pipeline.teachers.extraction.targets import target_specs, target_units
from pipeline.workers.dask import make_workers
from pipeline.workers.tasks import Limits, Lost

LIVE_COUNTS = "last_extract.json"
"""What the last run of all did; in `scratch_folder`."""
_UNIT_SECONDS = 3600.0


def extract(plan: Plan, targets: Path, runtime: RuntimeSettings) -> dict[str, Any]:
    """Writes the target store, computing only what neither the pool nor the last committed store has.

    Args:
        plan: which teacher, which clips, which outputs.
        targets: the store to write.
        runtime: workers and scheduler; they change no byte of the store.

    Returns:
        Scalars for ``results/extract/metrics.json``; the live counts go to standard error and ``LIVE_COUNTS``.

    Raises:
        TooManyFailedError: more videos failed than ``extract.max_failed``; all others are in the pool.
        TeacherError: the teacher cannot be used as asked.
    """
    store = open_store(plan.clips)
    start = time.monotonic()
    try:
        report = build_store(
            targets,
            kind="targets",
            specs=target_specs(plan.settings, plan.teacher),
            units=target_units(store, plan.settings.view_set),
            columns=[CLIP_DIGEST],
            compute=lambda jobs: _compute(plan, jobs, runtime),
            pool=Pool.locate(),
            adopt=[last_committed(targets)],
            max_failed=plan.settings.max_failed,
            metadata={"teacher": dict(plan.teacher.description), "clips_digest": store.digest()},
        )
    except TooManyFailedError as error:
        _leave_counts(error.report)
        raise
    _leave_counts(report)
    rate = report.computed / (time.monotonic() - start)
    return {"rows": report.rows, "failed": report.failed, "clips_per_second": round(rate, 2)}


def _compute(plan: Plan, jobs: Sequence[Job], runtime: RuntimeSettings) -> Iterator[tuple[Job, Rows | Failed]]:
    """Computes the jobs in worker processes, or in this one where there is one worker or one GPU to feed."""
    with track("extract: teacher forward", len(jobs)) as advance:
        on_gpu = resolve_device(plan.device).type != "cpu"
        if runtime.scheduler is None and (on_gpu or runtime.workers == 1):
            for job, result in zip(jobs, Extractor(plan).stream(jobs), strict=True):
                advance()
                yield job, result
            return
        size = plan.settings.videos_per_batch
        groups = [tuple(jobs[first : first + size]) for first in range(0, len(jobs), size)]
        limits = Limits(seconds=_UNIT_SECONDS, threads=plan.settings.threads)
        workers = make_workers(runtime.scheduler, num_workers=runtime.workers, limits=limits)
        identity = _identity(plan)
        tasks = [_Task(plan, identity, group) for group in groups]
        for index, results in workers.map(_extract_group, tasks):
            group = groups[index]
            if isinstance(results, Lost):
                results = [Failed(f"teacher: {results.reason}")] * len(group)
            for job, result in zip(group, results, strict=True):
                advance()
                yield job, result


@dataclass(frozen=True)
class _Task:
    """What is sent to a worker process; a worker uses its teacher again while ``identity`` stays the same."""

    plan: Plan
    identity: str
    jobs: tuple[Job, ...]


_extractors: dict[str, Extractor] = {}


def _extract_group(task: _Task) -> list[Rows | Failed]:
    if task.identity not in _extractors:
        _extractors.clear()
        _extractors[task.identity] = Extractor(task.plan)
    return list(_extractors[task.identity].stream(task.jobs))


def _identity(plan: Plan) -> str:
    """Tells one plan, with what its paths hold at this moment, from another."""
    clips = open_store(plan.clips).digest()
    return f"{plan.teacher.weights_sha256} {clips} {plan.device} {plan.settings.model_dump_json()}"


def _leave_counts(report: BuildReport) -> None:
    """The live counts: what this run did, apart from what DVC tracks."""
    counts = {"computed": report.computed, "reused": report.reused, "adopted": report.adopted}
    print("extract: " + ", ".join(f"{name} {count}" for name, count in counts.items()), file=sys.stderr)
    folder = scratch_folder()
    folder.mkdir(exist_ok=True)
    write_json(folder / LIVE_COUNTS, {"rows": report.rows, "failed": report.failed, **counts})
