"""An experiment from the cache against one with the teacher in the loop: decode, teacher and student in every step."""

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Figure, Setting, at_least, timed
from benchmarks.material import CLIP_SHAPE, distill_settings, write_random_store, write_teacher, write_videos
from cache import ArraySpec, open_store
from pipeline.clips import RenderTask, render_video
from pipeline.digests import file_digest
from pipeline.losses import Batch, weighted_losses
from pipeline.models.internvideo2 import InternVideo2
from pipeline.models.preprocessing import Preprocessing, normalise
from pipeline.students import StudentModel, create_student
from pipeline.teachers import internvideo2_tiny
from pipeline.views import ViewPolicy

LIMIT = "(teacher + decode + student) / student, each timed alone: what a free cache would save"
_BATCH = 16
_POLICY = ViewPolicy(policy="fragments", sampling="uniform", num_frames=8, size=112, grid=4)
_CLIP = ArraySpec("main", "uint8", CLIP_SHAPE, ("t", "h", "w", "c"), {"benchmark": 1})


class Step:
    """One optimiser step of the homologous student, from whatever clips and targets it is given."""

    def __init__(self) -> None:
        settings = distill_settings(losses={"mos_regression": 1.0, "feature_smoothl1": 0.05})
        self._losses = weighted_losses(settings.losses)
        self._student: StudentModel = create_student(
            "internvideo2", settings.options.get("internvideo2", {}), target_dim=256, clip_shape=CLIP_SHAPE
        ).train()
        self._optimiser = torch.optim.AdamW(self._student.parameters(), lr=1e-4, fused=True)
        self._labelled = torch.ones(_BATCH, dtype=torch.bool)
        self._mos = torch.linspace(0, 1, _BATCH)

    def __call__(self, clips: torch.Tensor, embedding: torch.Tensor) -> None:
        """Forward, backward, step."""
        targets = {name: embedding for name in self._losses.needs if name != "mos"}
        batch = Batch(clips=clips, mos=self._mos, labelled=self._labelled, targets=targets)
        loss, _ = self._losses(self._student(clips), batch)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()


def figures(setting: Setting) -> Iterator[Figure]:
    """The default teacher and student on the default data set's kind of video."""
    torch.set_num_threads(1)
    tasks = [
        RenderTask(
            path=path,
            digest=file_digest(path),
            num_frames=None,
            policies={"main": _POLICY},
            num_views=1,
            decoder="auto",
            repeat=False,
        )
        for path in write_videos(setting.folder / "videos", _BATCH)
    ]
    teacher = InternVideo2.from_pretrained(write_teacher(setting.folder / "teacher")).eval()
    kinds = [_CLIP, ArraySpec("embedding_normed", "float16", (256,), ("channel",), {"benchmark": 1})]
    store = open_store(write_random_store(setting.folder / "s.zarr", num_videos=64, num_views=1, specs=kinds))
    store.read("main", np.arange(64))
    rows, step = np.random.default_rng(0), Step()
    clips, embedding = torch.zeros(_BATCH, *CLIP_SHAPE, dtype=torch.uint8), torch.zeros(_BATCH, 256)

    def decode() -> torch.Tensor:
        return torch.from_numpy(np.concatenate([_rendered(task) for task in tasks]))

    def look(pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            output = teacher(_normalised(pixels, internvideo2_tiny.PREPROCESSING))
        return output.embedding_normed.clone()

    def in_the_loop() -> None:
        pixels = decode()
        step(pixels, look(pixels).detach().requires_grad_(False))

    def from_the_cache() -> None:
        chosen = rows.permutation(64)[:_BATCH]
        read = torch.from_numpy(store.read("embedding_normed", chosen).astype(np.float32))
        step(torch.from_numpy(store.read("main", chosen)), read)

    parts: dict[str, Callable[[], Any]] = {
        "loop": in_the_loop,
        "cache": from_the_cache,
        "decode": decode,
        "teacher": lambda: look(clips),
        "student": lambda: step(clips, embedding),
    }
    for work in parts.values():
        work()
    turns = [{name: timed(work)[0] for name, work in parts.items()} for _ in range(setting.rounds)]
    saved = [turn["loop"] / turn["cache"] for turn in turns]
    possible = [(turn["teacher"] + turn["decode"] + turn["student"]) / turn["student"] for turn in turns]
    detail = {f"{name}_seconds_per_step": statistics.median(turn[name] for turn in turns) for name in parts}
    yield Figure(
        what="speed-up of a step by the cache, as a share of the possible one",
        against="(teacher + decode + student) / student",
        ratios=[ours / limit for ours, limit in zip(saved, possible, strict=True)],
        goal=at_least(0.9),
        detail={"speed_up": statistics.median(saved), "possible": statistics.median(possible), **detail},
    )


def _rendered(task: RenderTask) -> np.ndarray:
    result = render_video(task)
    if isinstance(result, str):
        raise RuntimeError(result)
    return result.arrays["main"]


def _normalised(pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    return normalise(pixels, preprocessing.mean, preprocessing.std)
