"""Peak memory of ``render``, ``extract`` and ``distill`` on a set four times larger, against the smaller set.

Each runs in a process of its own that did not make the set, and tells its own high-water mark (``VmHWM``):
``ru_maxrss`` would begin with what the parent had when it forked. Its worker process, watched from outside, is added.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.harness import Figure, Setting, at_most, workshop
from benchmarks.material import (
    CLIP_SHAPE,
    VIEW,
    distill_settings,
    table_row,
    train_anew,
    write_random_store,
    write_run,
    write_teacher,
    write_videos,
)
from cache.store import ArraySpec, Unit

LIMIT = "the same stage on a quarter of the videos"
_PARAMS = Path(__file__).parents[2] / "params.yaml"
_POLL_SECONDS = 0.02


def figures(setting: Setting) -> Iterator[Figure]:
    """One figure per stage; ``extract`` and ``distill`` with the small default models."""
    for stage, make, count in (
        ("render", _make_videos, setting.size(40, 2)),
        ("extract", _make_clips, setting.size(24, 2)),
        ("distill", _make_run, setting.size(48, 4)),
    ):
        ratios, peaks = [], []
        for turn in range(setting.fewer(2)):
            told = []
            for number in (count, 4 * count):
                folder = setting.folder / f"{stage} {number} {turn}"
                make(folder, number)
                arguments = [sys.executable, "-m", "benchmarks.measures.memory", stage, str(folder)]
                done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)
                told.append(json.loads(done.stdout.splitlines()[-1]))
            ratios.append(told[1]["bytes"] / told[0]["bytes"])
            peaks.append(told)
        small, large = peaks[0]
        yield Figure(
            what=f"memory of {stage}, {4 * count} videos",
            against=f"{count} videos",
            ratios=ratios,
            goal=at_most(1.1),
            detail={
                "ours_mb": large["bytes"] / 1e6,
                "limit_mb": small["bytes"] / 1e6,
                "of_which_before_the_stage_mb": large["before"] / 1e6,
                "bytes_per_video_more": (large["bytes"] - small["bytes"]) / (3 * count),
                "worker_mb": large["workers"] / 1e6,
                "smaller_sets_worker_mb": small["workers"] / 1e6,
            },
        )


def high_water_bytes(process: int | str = "self") -> int:
    """The most memory a process ever had resident; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


class Workers(threading.Thread):
    """Watches this process's children.

    Attributes:
        last_bytes: process → the high-water mark it was last seen with. Between fork and exec that is the parent's.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.last_bytes: dict[int, int] = {}

    @property
    def peak_bytes(self) -> int:
        """The largest child's; workers of these stages follow each other."""
        return max(self.last_bytes.values(), default=0)

    def run(self) -> None:
        """Looks again and again, until the process ends."""
        this = psutil.Process()
        while True:
            for child in this.children():
                if seen := high_water_bytes(child.pid):
                    self.last_bytes[child.pid] = seen
            time.sleep(_POLL_SECONDS)


def _make_videos(folder: Path, count: int) -> None:
    write_videos(folder / "videos", count)


def _make_clips(folder: Path, count: int) -> None:
    spec = ArraySpec("main", "uint8", CLIP_SHAPE, ("t", "h", "w", "c"), {"benchmark": 1})
    write_random_store(folder / "clips.zarr", num_videos=count, num_views=2, specs=[spec])
    write_teacher(folder / "teacher")


def _make_run(folder: Path, count: int) -> None:
    write_run(folder, splits={"train": count, "val": 4, "test": 2})


def _render(folder: Path) -> Callable[[], object]:
    from pipeline.core.files import file_digest
    from pipeline.rendering.render import render
    from stages.params import load_params

    params = load_params(_PARAMS)
    paths = sorted((folder / "videos").iterdir())
    digests = [file_digest(path) for path in paths]
    units = [Unit(path.stem, digest, digest, 1) for path, digest in zip(paths, digests, strict=True)]
    videos = [table_row(unit, path) for unit, path in zip(units, paths, strict=True)]
    return lambda: render(
        params.render,
        {"main": VIEW},
        videos,
        data_root=folder,
        store=folder / "clips.zarr",
        runtime=params.runtime.model_copy(update={"workers": 1}),
    )


def _extract(folder: Path) -> Callable[[], object]:
    from pipeline.teachers.extraction.extract import extract
    from pipeline.teachers.extraction.extractor import Plan
    from pipeline.teachers.shared.saved import load_teacher
    from stages.params import load_params

    params = load_params(_PARAMS)
    settings = params.extract.model_copy(update={"threads": 1})
    plan = Plan(teacher=load_teacher(folder / "teacher"), clips=folder / "clips.zarr", settings=settings, device="cpu")
    return lambda: extract(plan, folder / "targets.zarr", params.runtime.model_copy(update={"workers": 1}))


def _distill(folder: Path) -> Callable[[], object]:
    from pipeline.students.data.rows import DataPaths

    settings = distill_settings(epochs=1, threads=1)
    return lambda: train_anew(settings, DataPaths.below(folder / "data"))


def _main(stage: str, folder: Path) -> None:
    """What the process of its own does: runs the stage, tells its peak."""
    with workshop(folder):
        work = {"render": _render, "extract": _extract, "distill": _distill}[stage](folder)
        before = high_water_bytes()
        workers = Workers()
        workers.start()
        work()
    told = {"bytes": high_water_bytes() + workers.peak_bytes, "before": before, "workers": workers.peak_bytes}
    print(json.dumps(told))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
