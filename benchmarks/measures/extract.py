"""``extract``'s rows per second against the teacher's bare forward on tensors that are already in RAM."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Figure, Goal, Setting, at_least, in_turn, workshop
from benchmarks.material import CLIP_SHAPE, write_random_store, write_teacher
from cache.store import ArraySpec, open_store
from pipeline.core.settings import RuntimeSettings
from pipeline.models.internvideo2 import InternVideo2
from pipeline.models.pixels import normalise
from pipeline.teachers.extraction.extract import extract
from pipeline.teachers.extraction.extractor import Plan
from pipeline.teachers.shared.saved import load_teacher
from stages.params import load_params

LIMIT = "the same teacher, batches and threads on normalised tensors in RAM, nothing read and nothing stored"
_PARAMS = Path(__file__).parents[2] / "params.yaml"


def figures(setting: Setting) -> Iterator[Figure]:
    """InternVideo2-S14 at four frames, and the small default."""
    for what, variant, shape, count, views, goal in (
        ("S14, 4 frames of 224 px", "S14", (4, 224, 224, 3), setting.size(8, 1), 2, at_least(0.95)),
        ("the default teacher", "default", CLIP_SHAPE, setting.size(32, 2), 4, None),
    ):
        if setting.small and variant == "S14":
            continue
        folder = setting.folder / variant
        spec = ArraySpec("main", "uint8", shape, ("t", "h", "w", "c"), {"benchmark": 1})
        clips = write_random_store(folder / "clips.zarr", num_videos=count, num_views=views, specs=[spec])
        teacher = write_teacher(folder / "teacher", variant, num_frames=shape[0])
        with workshop(folder):
            yield _figure(what, clips, teacher, views, goal, setting.fewer(3))


def _figure(what: str, clips: Path, teacher: Path, views: int, goal: Goal | None, rounds: int) -> Figure:
    params = load_params(_PARAMS)
    settings = params.extract.model_copy(update={"threads": 1})
    runtime: RuntimeSettings = params.runtime.model_copy(update={"workers": 1})
    plan = Plan(teacher=load_teacher(teacher), clips=clips, settings=settings, device="cpu")
    model = InternVideo2.from_pretrained(teacher).eval()
    preprocessing = plan.teacher.preprocessing
    store = open_store(clips)
    pixels = normalise(
        torch.from_numpy(store.read("main", np.arange(len(store)))), preprocessing["mean"], preprocessing["std"]
    )
    turn = iter(range(1000))

    @torch.inference_mode()
    def bare() -> None:
        torch.set_num_threads(1)
        for first in range(0, len(pixels), views):
            model(pixels[first : first + views])

    def whole() -> None:
        with workshop(Path.cwd() / f"turn {next(turn)}"):
            extract(plan, Path("targets.zarr"), runtime)

    turns = in_turn(whole, bare, rounds, warm=len(pixels) > views * 8)
    return Figure(
        what=f"extract, {what}",
        against="the bare forward",
        ratios=turns.rate_ratios(),
        goal=goal,
        detail={"rows_per_second": len(pixels) / statistics.median(turns.ours), **turns.detail()},
    )
