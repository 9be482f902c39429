"""The teacher over batches of clips: its outputs as rows of the target store."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers.utils import logging as transformers_logging

from cache.store import OK, Failed, Job, Rows, open_store
from pipeline.core.manifest import CLIP_DIGEST
from pipeline.models.device import be_deterministic, resolve_device
from pipeline.models.internvideo2 import InternVideo2, compile_blocks, lower_weights
from pipeline.models.pixels import normalise
from pipeline.models.staging import Arrays, stream
from pipeline.teachers.extraction.settings import ExtractSettings
from pipeline.teachers.shared.saved import SavedTeacher, TeacherError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a worker needs to know; it is sent to other processes and machines.

    Attributes:
        teacher: that ``adapt`` wrote.
        clips: the clip store.
        settings: the section ``extract``.
        device: ``auto``, ``cpu``, ``cuda`` …
    """

    teacher: SavedTeacher
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
        self._preprocessing = plan.teacher.preprocessing
        transformers_logging.disable_progress_bar()
        self._model = InternVideo2.from_pretrained(plan.teacher.folder).eval().to(self._device)
        if plan.settings.precision == "bfloat16":
            lower_weights(self._model)
        if plan.settings.compile:
            compile_blocks(self._model)
        self._rule_is_checked = False

    def __call__(self, job: Job) -> Rows | Failed:
        """Computes the arrays that one job names, in a batch of its own, padded where the batch rule asks for it.

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
        return next((self._store.reasons[row] for row in rows if self._store.status[row] != OK), None)


def pooled_tokens(tokens: Tensor, grid: tuple[int, int, int], side: int | None) -> Tensor:
    """The dense tokens without cls, each frame's grid averaged to ``side`` by ``side``.

    Args:
        tokens: ``b 1+n c``, cls first.
        grid: tokens along time, rows and columns.
        side: cells per side; None leaves the grid as it is.

    Returns:
        ``b t' side side c``.
    """
    time, height, width = grid
    dense = tokens[:, 1:].unflatten(1, (time, height, width))
    if side is None or side == height == width:
        return dense
    planes = dense.flatten(0, 1).permute(0, 3, 1, 2).float()
    return functional.adaptive_avg_pool2d(planes, side).permute(0, 2, 3, 1).unflatten(0, (-1, time))
