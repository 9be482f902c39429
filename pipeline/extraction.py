"""Stage one: the teacher over every clip, once, into the target cache. The only place that runs the whole teacher.

The unit of work is one video's views, always one batch of just these: a row's bytes cannot depend on what else was
computed, in which order, or by how many workers. Where a GPU wants more, ``extract.videos_per_batch`` makes a batch of
several videos, always of the same size; ``pipeline/tuning.py`` proposes how many, once, after looking whether a row's
bits depend on its place in the batch.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers.utils import logging as transformers_logging

from cache import (
    BuildReport,
    Failed,
    Job,
    Pool,
    Rows,
    TooManyFailedError,
    build_store,
    open_store,
)
from cache.dvc_source import last_committed
from pipeline.digests import file_digest
from pipeline.models.internvideo2 import InternVideo2, compile_blocks, lower_weights
from pipeline.models.preprocessing import normalise
from pipeline.optimisation import be_deterministic, resolve_device
from pipeline.params import ExtractSettings, RuntimeSettings
from pipeline.progress import track
from pipeline.records import write_json
from pipeline.staging import Arrays, stream
from pipeline.targets import TeacherError, load_description, target_specs, target_units
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
        be_deterministic()
        self._settings = plan.settings
        self._store = open_store(plan.clips)
        self._device = resolve_device(plan.device)
        self._preprocessing = load_description(plan.teacher)["preprocessing"]
        transformers_logging.disable_progress_bar()  # the teacher lies on a disk, and is read in a moment
        self._model = InternVideo2.from_pretrained(plan.teacher).eval().to(self._device)
        if plan.settings.precision == "bfloat16":
            lower_weights(self._model)
        if plan.settings.compile:
            compile_blocks(self._model)
        self._rule_is_checked = False

    def __call__(self, job: Job) -> Rows | Failed:
        """Computes the arrays that one job names, in a batch of its own, padded where the batch rule says so.

        Returns:
            float32 arrays, first axis the video's views; or why there are none: the video's clip has failed.
        """
        return next(iter(self.stream([job])))

    def stream(self, jobs: Sequence[Job]) -> Iterator[Rows | Failed]:
        """Computes jobs in order; reading, copying, computing and whatever the caller does with results overlap.

        Yields:
            What became of each job.

        Raises:
            TeacherError: a row would depend on its place in the batch.
        """
        size = self._settings.videos_per_batch
        groups = [tuple(jobs[first : first + size]) for first in range(0, len(jobs), size)]
        self._check_batch_rule(jobs)
        for group, arrays in stream(self._read(groups), self._compute_group, self._device):
            yield from self._divide(group, arrays)

    @torch.inference_mode()
    def forward(self, clips: NDArray[np.uint8], kinds: Sequence[str]) -> Arrays:
        """Runs the teacher on one batch.

        Args:
            clips: uint8 ``b t h w c``.
            kinds: which outputs are wanted.

        Returns:
            Kind → float32 array, first axis ``b``.
        """
        found = self._compute(torch.from_numpy(clips).to(self._device), kinds)
        return {kind: value.float().cpu().numpy() for kind, value in found.items()}

    def is_place_free(self, clips: NDArray[np.uint8], size: int) -> bool:
        """Whether rows have the same bits in every place of a batch, as they must where a data set may grow.

        Which operations make a row, and in which order, follows from the batch's shape and the row's place alone. So
        one clip in every place shows it.

        Args:
            clips: one video's, uint8 ``v t h w c``.
            size: videos per batch.
        """
        rows = self.forward(np.concatenate([clips] * size), self._settings.kinds)
        return all(len({part.tobytes() for part in np.split(values, size)}) == 1 for values in rows.values())

    def _check_batch_rule(self, jobs: Sequence[Job]) -> None:
        size = self._settings.videos_per_batch
        good = next((job for job in jobs if self._failure(job) is None), None)
        if self._rule_is_checked or size == 1 or good is None:
            return
        clips = self._store.read(self._settings.view_set, self._store.rows_of(good.unit.video_id))
        if not self.is_place_free(clips, size):
            raise TeacherError(
                f"extract.videos_per_batch: got {size}, but with this teacher on {self._device} a row's bits depend on "
                "its place in such a batch, so that a set that grows would differ from one made at once; "
                "set it to what `python -m stages.extract --tune` proposes"
            )
        self._rule_is_checked = True

    def _read(self, groups: Iterable[tuple[Job, ...]]) -> Iterator[tuple[tuple[Job, ...], NDArray[np.uint8] | None]]:
        """The clips of each group's good videos, filled up with zeros to the size of a batch."""
        for group in groups:
            rows = [self._store.rows_of(job.unit.video_id) for job in group if self._failure(job) is None]
            if not rows:
                yield group, None
                continue
            clips = self._store.read(self._settings.view_set, np.concatenate(rows))
            missing = self._settings.videos_per_batch * self._store.views_per_video - len(clips)
            yield group, np.pad(clips, [(0, missing), *[(0, 0)] * (clips.ndim - 1)]) if missing else clips

    @torch.inference_mode()
    def _compute_group(self, group: tuple[Job, ...], clips: Tensor) -> dict[str, Tensor]:
        return self._compute(clips, sorted({name for job in group for name in job.arrays}))

    def _compute(self, clips: Tensor, kinds: Sequence[str]) -> dict[str, Tensor]:
        pixels = normalise(clips, self._preprocessing["mean"], self._preprocessing["std"])
        layers = self._settings.layers if "layers" in kinds else []
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.precision == "bfloat16"):
            output = self._model(pixels, layers=layers)
        found: dict[str, Tensor] = {kind: getattr(output, kind) for kind in kinds}
        if "tokens" in found:
            found["tokens"] = pooled_tokens(found["tokens"], self._model.config.grid, self._settings.tokens_grid)
        return found

    def _divide(self, group: tuple[Job, ...], arrays: Arrays | None) -> Iterator[Rows | Failed]:
        digests, first = self._store.row_digests(self._settings.view_set), 0
        for job in group:
            failure = self._failure(job)
            if failure is not None or arrays is None:
                yield Failed(f"its clip failed: {failure}")
                continue
            rows = self._store.rows_of(job.unit.video_id)
            own = {name: arrays[name][first : first + len(rows)] for name in job.arrays}
            yield Rows(arrays=own, columns={CLIP_DIGEST: [digests[row] for row in rows]})
            first += len(rows)

    def _failure(self, job: Job) -> str | None:
        rows = self._store.rows_of(job.unit.video_id)
        return next((self._store.reasons[row] for row in rows if self._store.status[row] != 1), None)


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
            told = [Failed(f"teacher: {results.reason}")] * len(group) if isinstance(results, Lost) else results
            for job, result in zip(group, told, strict=True):
                advance()
                yield job, result


@dataclass(frozen=True)
class _Task:
    """What is sent to a worker process; a worker keeps its teacher while ``identity`` stays the same."""

    plan: Plan
    identity: str
    jobs: tuple[Job, ...]


_kept: dict[str, Extractor] = {}


def _extract_group(task: _Task) -> list[Rows | Failed]:
    if task.identity not in _kept:
        _kept.clear()
        _kept[task.identity] = Extractor(task.plan)
    return list(_kept[task.identity].stream(task.jobs))


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
