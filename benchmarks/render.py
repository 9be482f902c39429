"""How much of the time of ``render`` is the decoder's own: clips/s against decoding alone.

Both sides run the same tasks in the same number of worker processes; the other side opens each video, counts its
frames and decodes those that the views need, and looks at no pixel. They take turns, so that a machine that is busy
with something else slows both.
"""

import hashlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from pipeline import registry
from pipeline.clips import RenderTask, render_video
from pipeline.views import ViewPolicy, draw_view
from pipeline.workers import Limits, LocalWorkers, Lost

FRAGMENTS = ViewPolicy(policy="fragments", sampling="uniform", num_frames=8, size=112, grid=4)
RESIZE = ViewPolicy(policy="resize", sampling="uniform", num_frames=8, size=224)
_LIMITS = Limits(seconds=600.0)


def decode_alone(task: RenderTask) -> int:
    """Decodes the frames that the task's views need, and nothing else.

    Returns:
        How many frames that were.
    """
    with registry.find("decoders", task.decoder).open(task.path, options=task.options) as video:
        info = video.info
        drawn = [
            draw_view(
                policy,
                num_frames=info.num_frames,
                height=info.height,
                width=info.width,
                digest=task.digest,
                view=view,
                repeat=task.repeat,
            )
            for policy in task.policies.values()
            for view in range(task.num_views)
        ]
        wanted = sorted({index for view in drawn for index in view.frames})
        return sum(1 for _ in video.frames(wanted))


def tasks_of(
    paths: Sequence[Path], policies: Mapping[str, ViewPolicy], *, num_views: int, decoder: str
) -> list[RenderTask]:
    """One task per file."""
    return [
        RenderTask(
            path=path,
            digest=hashlib.sha256(path.read_bytes()).hexdigest(),
            num_frames=None,
            policies=dict(policies),
            num_views=num_views,
            decoder=decoder,
            repeat=True,
        )
        for path in paths
    ]


def measure(
    paths: Sequence[Path],
    policies: Mapping[str, ViewPolicy],
    *,
    num_views: int = 4,
    decoder: str = "auto",
    workers: int = 1,
    rounds: int = 5,
) -> dict[str, float]:
    """Measures rendering against decoding alone.

    Args:
        paths: videos, decoded once per round and side.
        policies: per view set.
        num_views: per video and view set.
        decoder: a file of ``pipeline/decoders/``.
        workers: processes.
        rounds: how often both sides run; the first is a warm-up and not counted.

    Returns:
        ``ratio`` (render's clips/s over decoding's), ``ratio_low`` and ``ratio_high`` (the extremes over rounds),
        ``cpu_ratio`` (the same by processor time, which a busy machine disturbs less) and ``clips_per_second``.
    """
    tasks = tasks_of(paths, policies, num_views=num_views, decoder=decoder)
    ratios, cpu_ratios, rates = [], [], []
    for turn in range(rounds + 1):
        decode_seconds, decode_cpu = _timed(decode_alone, tasks, workers)
        render_seconds, render_cpu = _timed(render_video, tasks, workers)
        if turn:
            ratios.append(decode_seconds / render_seconds)
            cpu_ratios.append(decode_cpu / render_cpu)
            rates.append(len(tasks) * num_views * len(policies) / render_seconds)
    return {
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "cpu_ratio": statistics.median(cpu_ratios),
        "clips_per_second": statistics.median(rates),
    }


def scaling(
    paths: Sequence[Path], policies: Mapping[str, ViewPolicy], workers: Sequence[int], *, rounds: int = 3
) -> dict[str, float]:
    """Clips/s of ``render`` for several numbers of workers, keyed by that number."""
    return {
        str(number): measure(paths, policies, workers=number, rounds=rounds)["clips_per_second"] for number in workers
    }


def _timed(function: Callable[[RenderTask], Any], tasks: Sequence[RenderTask], workers: int) -> tuple[float, float]:
    """Wall-clock and processor seconds of one pass over the tasks, without the start of the processes."""
    warm = [tasks[0]] * workers
    start = cpu = last = 0.0
    for number, (_, result) in enumerate(LocalWorkers(workers, _LIMITS).map(function, [*warm, *tasks])):
        if isinstance(result, Lost | str):
            raise RuntimeError(f"cannot measure: {result}")
        if number == workers - 1:
            start, cpu = time.perf_counter(), _children_seconds()
        last = _children_seconds()
    return time.perf_counter() - start, last - cpu


def _children_seconds() -> float:
    """Processor seconds of the worker processes so far."""
    times = [child.cpu_times() for child in psutil.Process().children()]
    return sum(one.user + one.system for one in times)
