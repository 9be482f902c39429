"""An experiment from the cache against one with the teacher in the loop: decode, teacher and student in every step."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Figure, Setting, at_least, timed
from benchmarks.material import VIEW, distill_settings, write_run, write_teacher, write_videos
from pipeline.core.files import file_digest
from pipeline.models.device import reproducible
from pipeline.models.internvideo2 import InternVideo2
from pipeline.models.pixels import normalise
from pipeline.models.training import MAX_GRADIENT_NORM, averaged
from pipeline.rendering.clips import RenderTask, render_video
from pipeline.students.data.batch import COLUMNS, Batch
from pipeline.students.data.rows import AlignedData, DataPaths
from pipeline.students.distillation.projection import possible_losses, with_projectors
from pipeline.students.distillation.settings import DistillSettings
from pipeline.students.losses.shared.weighting import weighted_losses
from pipeline.students.shared.model import create_student
from pipeline.teachers.extraction.extractor import pooled_tokens
from pipeline.teachers.internvideo2_tiny import PREPROCESSING

LIMIT = "(teacher + decode + student) / student, each timed alone: what a free cache would save"
_CLIPS = 64


class Step:
    """One optimiser step of a student as ``distill`` takes it, from whatever batch it is given.

    Attributes:
        needs: the columns of a batch that the losses read.
    """

    def __init__(self, settings: DistillSettings, data: AlignedData) -> None:
        student = create_student(
            settings.student,
            settings.options.get(settings.student, {}),
            target_dim=data.cached.width,
            clip_shape=data.clip_shape,
            grid=data.grid,
        )
        self._losses = weighted_losses(possible_losses(student, settings.losses))
        self.needs = self._losses.needs
        shapes = {name: data.cached.whole(name).shape[1:] for name in self.needs if name not in COLUMNS}
        self._model = with_projectors(student, self.needs, shapes).train()
        self._optimiser = torch.optim.AdamW(self._model.parameters(), lr=settings.learning_rate, fused=True)
        self._average = averaged(self._model, settings.weight_average) if settings.weight_average else None

    def __call__(self, batch: Batch) -> None:
        """Forward, backward, step, average."""
        loss, _ = self._losses(self._model(batch.clips, batch.dataset), batch)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), MAX_GRADIENT_NORM)
        self._optimiser.step()
        if self._average is not None:
            self._average.update_parameters(self._model)


def figures(setting: Setting) -> Iterator[Figure]:
    """The default teacher, student and settings on the default data set's kind of video, one thread."""
    settings = distill_settings()
    with reproducible(seed=settings.seed, threads=1):
        turns = _turns(setting, settings)
    saved = [turn["loop"] / turn["cache"] for turn in turns]
    possible = [(turn["teacher"] + turn["decode"] + turn["student"]) / turn["student"] for turn in turns]
    detail = {f"{name}_seconds_per_step": statistics.median(turn[name] for turn in turns) for name in turns[0]}
    yield Figure(
        what="speed-up of a step by the cache, as a share of the possible one",
        against="(teacher + decode + student) / student",
        ratios=[ours / limit for ours, limit in zip(saved, possible, strict=True)],
        goal=at_least(0.9),
        detail={"speed_up": statistics.median(saved), "possible": statistics.median(possible), **detail},
    )


def _turns(setting: Setting, settings: DistillSettings) -> list[dict[str, float]]:
    """Seconds of one step by either way and of each part alone, round by round."""
    tasks = [_task(path) for path in write_videos(setting.folder / "videos", settings.batch_size)]
    teacher = InternVideo2.from_pretrained(write_teacher(setting.folder / "teacher")).eval()
    data = AlignedData(DataPaths.below(write_run(setting.folder, splits={"train": _CLIPS}, num_views=1)), "main")
    rows, step = np.random.default_rng(0), Step(settings, data)
    data.batch(np.arange(_CLIPS), step.needs)
    given = data.batch(np.arange(settings.batch_size), step.needs)

    def decode() -> torch.Tensor:
        return torch.from_numpy(np.concatenate([_rendered(task) for task in tasks]))

    @torch.no_grad()
    def look(clips: torch.Tensor) -> dict[str, torch.Tensor]:
        output = teacher(normalise(clips, PREPROCESSING.mean, PREPROCESSING.std))
        tokens = pooled_tokens(output.tokens, teacher.config.grid, data.targets.arrays["tokens"].shape[1])
        return {"embedding_normed": output.embedding_normed, "teacher_score": output.logits[:, 0], "tokens": tokens}

    def in_the_loop() -> None:
        clips = decode()
        step(replace(given, clips=clips, targets=look(clips)))

    def from_the_cache() -> None:
        step(data.batch(rows.permutation(_CLIPS)[: settings.batch_size], step.needs))

    parts: dict[str, Callable[[], Any]] = {
        "loop": in_the_loop,
        "cache": from_the_cache,
        "decode": decode,
        "teacher": lambda: look(given.clips),
        "student": lambda: step(given),
    }
    for work in parts.values():
        work()
    return [{name: timed(work)[0] for name, work in parts.items()} for _ in range(setting.rounds)]


def _task(path: Path) -> RenderTask:
    return RenderTask(
        path=path,
        digest=file_digest(path),
        num_frames=None,
        policies={"main": VIEW},
        num_views=1,
        decoder="auto",
        repeat=False,
    )


def _rendered(task: RenderTask) -> np.ndarray:
    result = render_video(task)
    if isinstance(result, str):
        raise RuntimeError(result)
    return result.arrays["main"]
