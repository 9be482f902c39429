"""Stage one: the teacher over every clip, once, into the target cache. The only place that runs the whole teacher.

The unit of work is one video's views, always one batch of just these: a row's bytes cannot depend on what else was
computed, in which order, or by how many workers.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cache import (
    ArraySpec,
    BuildReport,
    Failed,
    Job,
    Pool,
    Rows,
    TooManyFailedError,
    Unit,
    build_store,
    open_store,
)
from cache.dvc_source import last_committed
from pipeline.digests import file_digest
from pipeline.models.internvideo2 import InternVideo2
from pipeline.models.preprocessing import normalise
from pipeline.optimisation import resolve_device
from pipeline.params import ExtractSettings, RuntimeSettings
from pipeline.progress import track
from pipeline.records import write_json
from pipeline.targets import load_description, target_specs, target_units
from pipeline.workers import Limits, Lost, make_workers

CLIP_DIGEST = "clip_digest"
"""Text column of the target store: the SHA-256 of the pixels that the teacher saw, row by row."""
LIVE_COUNTS = Path(".teachonce/last_extract.json")
_UNIT_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a worker needs to know; it is sent to other processes and machines.

    Attributes:
        teacher: folder that ``adapt`` wrote.
        clips: the clip store.
        settings: the section ``extract``.
        device: ``auto``, ``cpu``, ``cuda`` …
    """

    teacher: Path
    clips: Path
    settings: ExtractSettings
    device: str


class Extractor:
    """One worker's teacher: turns a job into rows of targets."""

    def __init__(self, plan: Plan) -> None:
        torch.set_num_threads(plan.settings.threads)
        torch.use_deterministic_algorithms(True)
        self._settings = plan.settings
        self._store = open_store(plan.clips)
        self._device = resolve_device(plan.device)
        self._preprocessing = load_description(plan.teacher)["preprocessing"]
        self._model = InternVideo2.from_pretrained(plan.teacher).eval().to(self._device)

    def __call__(self, job: Job) -> Rows | Failed:
        """Computes the arrays that the job names.

        Returns:
            float32 arrays, first axis the video's views; or why there are none: the video's clip has failed.
        """
        rows = self._store.rows_of(job.unit.video_id)
        failed = [self._store.reasons[row] for row in rows if self._store.status[row] != 1]
        if failed:
            return Failed(f"its clip failed: {failed[0]}")
        outputs = self.forward(self._store.read(self._settings.view_set, rows), job.arrays)
        digests = self._store.row_digests(self._settings.view_set)
        return Rows(arrays=outputs, columns={CLIP_DIGEST: [digests[row] for row in rows]})

    @torch.inference_mode()
    def forward(self, clips: NDArray[np.uint8], kinds: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Runs the teacher on one batch.

        Args:
            clips: uint8 ``b t h w c``.
            kinds: which outputs are wanted.

        Returns:
            Kind → float32 array, first axis ``b``.
        """
        pixels = normalise(
            torch.from_numpy(clips).to(self._device), self._preprocessing["mean"], self._preprocessing["std"]
        )
        layers = self._settings.layers if "layers" in kinds else []
        autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.precision == "bfloat16")
        with autocast:
            output = self._model(pixels, layers=layers)
        found: dict[str, Tensor] = {kind: getattr(output, kind) for kind in kinds}
        if "tokens" in found:
            found["tokens"] = pooled_tokens(found["tokens"], self._model.config.grid, self._settings.tokens_grid)
        return {kind: value.float().cpu().numpy() for kind, value in found.items()}


def pooled_tokens(tokens: Tensor, grid: tuple[int, int, int], side: int | None) -> Tensor:
    """The dense tokens without cls, each frame's grid averaged to ``side`` by ``side``.

    Args:
        tokens: ``b 1+n c``, cls first.
        grid: tokens along time, rows and columns.
        side: cells per side; None keeps the grid as it is.

    Returns:
        ``b t' side side c``.
    """
    time, height, width = grid
    dense = tokens[:, 1:].unflatten(1, (time, height, width))
    if side is None or side == height == width:
        return dense
    planes = dense.flatten(0, 1).permute(0, 3, 1, 2).float()
    return functional.adaptive_avg_pool2d(planes, side).permute(0, 2, 3, 1).unflatten(0, (-1, time))


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
            metadata={"teacher": load_description(plan.teacher), "clips_digest": store.digest()},
        )
    except TooManyFailedError as error:
        _leave_counts(error.report)
        raise
    _leave_counts(report)
    rate = report.computed / (time.monotonic() - start)
    return {"rows": report.rows, "failed": report.failed, "clips_per_second": round(rate, 2)}


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
    start = time.monotonic()
    extractor(job)
    return time.monotonic() - start


def _compute(plan: Plan, jobs: Sequence[Job], runtime: RuntimeSettings) -> Iterator[tuple[Job, Rows | Failed]]:
    """Computes the jobs in worker processes, or in this one where there is one worker or one GPU to feed."""
    identity = _identity(plan)
    with track("extract: teacher forward", len(jobs)) as advance:
        on_gpu = resolve_device(plan.device).type != "cpu"
        if runtime.scheduler is None and (on_gpu or runtime.workers == 1):
            results: Iterator[tuple[int, Rows | Failed | Lost]] = enumerate(map(Extractor(plan), jobs))
        else:
            limits = Limits(seconds=_UNIT_SECONDS, threads=plan.settings.threads)
            workers = make_workers(runtime.scheduler, num_workers=runtime.workers, limits=limits)
            results = workers.map(_extract_one, [_Task(plan, identity, job) for job in jobs])
        for index, result in results:
            advance()
            yield jobs[index], Failed(f"teacher: {result.reason}") if isinstance(result, Lost) else result


@dataclass(frozen=True)
class _Task:
    """What is sent to a worker process; a worker keeps its teacher while ``identity`` stays the same."""

    plan: Plan
    identity: str
    job: Job


_kept: dict[str, Extractor] = {}


def _extract_one(task: _Task) -> Rows | Failed:
    if task.identity not in _kept:
        _kept.clear()
        _kept[task.identity] = Extractor(task.plan)
    return _kept[task.identity](task.job)


def _identity(plan: Plan) -> str:
    """Tells one plan, with what its paths hold at this moment, from another."""
    weights, clips = file_digest(plan.teacher / "model.safetensors"), open_store(plan.clips).digest()
    return f"{weights} {clips} {plan.device} {plan.settings.model_dump_json()}"


def _leave_counts(report: BuildReport) -> None:
    """The live counts: what this very run did, kept out of what DVC tracks."""
    counts = {"computed": report.computed, "reused": report.reused, "adopted": report.adopted}
    print("extract: " + ", ".join(f"{name} {count}" for name, count in counts.items()), file=sys.stderr)
    LIVE_COUNTS.parent.mkdir(exist_ok=True)
    write_json(LIVE_COUNTS, {"rows": report.rows, "failed": report.failed, **counts})
