"""Peak memory of ``render``, ``extract`` and ``distill`` on a set four times larger, against the smaller set.

Each runs in a process of its own, which tells its own high-water mark (``VmHWM``): ``ru_maxrss`` would begin with what
the parent had when it forked. Worker processes are watched from outside.
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
    distill_settings,
    table_row,
    write_random_store,
    write_run,
    write_teacher,
    write_videos,
)
from cache import ArraySpec, Unit

LIMIT = "the same stage on a quarter of the videos"
_PARAMS = Path(__file__).parents[2] / "params.yaml"
_POLL_SECONDS = 0.02


def figures(setting: Setting) -> Iterator[Figure]:
    """One figure per stage; ``extract`` and ``distill`` with the small default models."""
    for stage, count in (
        ("render", setting.size(40, 2)),
        ("extract", setting.size(24, 2)),
        ("distill", setting.size(48, 4)),
    ):
        ratios, peaks = [], []
        for turn in range(setting.fewer(3)):
            told = []
            for number in (count, 4 * count):
                folder = setting.folder / f"{stage} {number} {turn}"
                arguments = [sys.executable, "-m", "benchmarks.measures.memory", stage, str(number), str(folder)]
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
        peak_bytes: the largest high-water mark that was seen.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0

    def run(self) -> None:
        """Looks again and again, until the process ends."""
        this = psutil.Process()
        while True:
            for child in this.children():
                self.peak_bytes = max(self.peak_bytes, high_water_bytes(child.pid))
            time.sleep(_POLL_SECONDS)


def _render(folder: Path, count: int) -> Callable[[], object]:
    from benchmarks.measures.render import FRAGMENTS
    from pipeline.digests import file_digest
    from pipeline.params import load_params
    from pipeline.rendering import render

    params = load_params(_PARAMS)
    paths = write_videos(folder / "videos", count)
    digests = [file_digest(path) for path in paths]
    units = [Unit(path.stem, digest, digest, 1) for path, digest in zip(paths, digests, strict=True)]
    videos = [table_row(unit, path) for unit, path in zip(units, paths, strict=True)]
    return lambda: render(
        params.render,
        {"main": FRAGMENTS},
        videos,
        data_root=folder,
        store=folder / "clips.zarr",
        runtime=params.runtime.model_copy(update={"workers": 1}),
    )


def _extract(folder: Path, count: int) -> Callable[[], object]:
    from pipeline.extraction import Plan, extract
    from pipeline.params import load_params

    params = load_params(_PARAMS)
    spec = ArraySpec("main", "uint8", CLIP_SHAPE, ("t", "h", "w", "c"), {"benchmark": 1})
    clips = write_random_store(folder / "clips.zarr", num_videos=count, num_views=2, specs=[spec])
    settings = params.extract.model_copy(update={"threads": 1})
    plan = Plan(teacher=write_teacher(folder / "teacher"), clips=clips, settings=settings, device="cpu")
    return lambda: extract(plan, folder / "targets.zarr", params.runtime.model_copy(update={"workers": 1}))


def _distill(folder: Path, count: int) -> Callable[[], object]:
    from pipeline.aligned import DataPaths
    from pipeline.training import distil

    data = write_run(folder, splits={"train": count, "val": 4, "test": 2})
    settings = distill_settings(epochs=1, threads=1)
    return lambda: distil(settings, DataPaths.below(data), device="cpu")


def _main(stage: str, count: int, folder: Path) -> None:
    """What the process of its own does: makes the set, runs the stage, tells its peak."""
    with workshop(folder):
        work = {"render": _render, "extract": _extract, "distill": _distill}[stage](folder, count)
        before = high_water_bytes()
        workers = Workers()
        workers.start()
        work()
    print(json.dumps({"bytes": high_water_bytes(), "before": before, "workers": workers.peak_bytes}))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
