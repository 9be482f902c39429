"""How much of the time of ``render`` is the decoder's own: clips/s against decoding alone.

Both sides run the same tasks in the same number of worker processes; the other side opens each video, counts its
frames and decodes those that the views need, and looks at no pixel. They take turns, so that a machine that is busy
with something else slows both.
"""

import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, Setting, at_least, children_seconds
from benchmarks.material import VIEW, write_videos
from pipeline.core import registry
from pipeline.rendering.clips import RenderTask, render_video
from pipeline.rendering.policy import ViewPolicy
from pipeline.rendering.views import draw_view
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

LIMIT = "the decoder alone: the same files opened, counted and decoded in as many processes, no pixel looked at"
RESIZE = ViewPolicy(policy="resize", sampling="uniform", num_frames=8, size=224)
_LIMITS = Limits(seconds=600.0)
_PASSES_OF_TWO = 4
"""Times that two workers get every file: a single pass lasts 0.7 s, a tenth of which one of them may spend on the last
video while the other waits."""


def figures(setting: Setting) -> Iterator[Figure]:
    """Both kinds of view sets on one worker and on two, and how two do against one."""
    size = {"width": 1280, "height": 720, "num_frames": 48} if not setting.small else {}
    paths = write_videos(setting.folder / "videos", setting.size(12, 2), **size)
    rates: dict[int, list[float]] = {}
    for what, policy, workers, passes, rounds in (
        ("fragments, one worker", VIEW, 1, 1, setting.rounds),
        ("resized, one worker", RESIZE, 1, 1, setting.fewer(3)),
        ("fragments, two workers", VIEW, 2, setting.size(_PASSES_OF_TWO, 1), setting.rounds),
    ):
        found = measure(paths * passes, {"main": policy}, workers=workers, rounds=rounds)
        if policy is VIEW:
            rates[workers] = found.rates
        yield Figure(
            what=f"render, {what}",
            against="the decoder alone, same files and processes",
            ratios=found.ratios,
            goal=at_least(0.9),
            detail={
                "clips_per_second": statistics.median(found.rates),
                "cpu_ratio": statistics.median(found.cpu_ratios),
            },
        )
    yield Figure(
        what="render, clips/s of two workers",
        against="one worker",
        ratios=[two / one for one, two in zip(rates[1], rates[2], strict=True)],
        detail={"cores": len(os.sched_getaffinity(0))},
    )


@dataclass(frozen=True)
class Rounds:
    """What each round gave.

    Attributes:
        ratios: render's clips/s over decoding's.
        cpu_ratios: the same by processor time, which a busy machine disturbs less.
        rates: clips/s of render.
    """

    ratios: list[float]
    cpu_ratios: list[float]
    rates: list[float]


def decode_alone(task: RenderTask) -> int:
    """Decodes the frames that the task's views need, and nothing else.

    Returns:
        How many frames that were.
    """
    with registry.find("video.decoders", task.decoder).open(task.path, options=task.options) as video:
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
) -> Rounds:
    """Measures rendering against decoding alone.

    Args:
        paths: videos, decoded once per round and side.
        policies: per view set.
        num_views: per video and view set.
        decoder: a file of ``pipeline/video/decoders/``.
        workers: processes.
        rounds: how often both sides run; the first is a warm-up and not counted.
    """
    tasks = tasks_of(paths, policies, num_views=num_views, decoder=decoder)
    found = Rounds([], [], [])
    for turn in range(rounds + 1):
        decode_seconds, decode_cpu = _timed(decode_alone, tasks, workers)
        render_seconds, render_cpu = _timed(render_video, tasks, workers)
        if turn:
            found.ratios.append(decode_seconds / render_seconds)
            found.cpu_ratios.append(decode_cpu / render_cpu)
            found.rates.append(len(tasks) * num_views * len(policies) / render_seconds)
    return found


def _timed(function: Callable[[RenderTask], Any], tasks: Sequence[RenderTask], workers: int) -> tuple[float, float]:
    """Wall-clock and processor seconds of one pass over the tasks, without the start of the processes."""
    warm = [tasks[0]] * workers
    start = cpu = 0.0
    for number, (_, result) in enumerate(LocalWorkers(workers, _LIMITS).map(function, [*warm, *tasks])):
        if isinstance(result, Lost | str):
            raise RuntimeError(f"cannot measure: {result}")
        if number == workers - 1:
            start, cpu = time.perf_counter(), children_seconds()
    return time.perf_counter() - start, children_seconds() - cpu
