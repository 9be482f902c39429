"""Tasks in processes of this machine, which may die: a hostile video costs a row, never the stage.

A task runs in a process of its own kind, which does one task at a time and can be lost without harm: when it takes
too long it is killed, when it crashes or runs out of memory its task comes back as ``Lost``, and the next task gets a
fresh process. Results come in any order.

The process is an interpreter started anew rather than a fork: no lock, thread or open file of the stage is in it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any

from pipeline.workers.child import Child
from pipeline.workers.tasks import Limits, Lost, Result, Task


class LocalWorkers:
    """Processes of this machine.

    Args:
        num_workers: how many at once.
        limits: of each task.
    """

    def __init__(self, num_workers: int, limits: Limits) -> None:
        self._num_workers, self._limits = num_workers, limits

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result | Lost]]:
        """As ``Mapper.map``."""
        children = [Child(self._limits) for _ in range(min(self._num_workers, len(tasks)))]
        try:
            yield from _serve(children, function, tasks)
        finally:
            for child in children:
                child.end()


def _serve(
    children: list["Child"], function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[tuple[int, Result | Lost]]:
    waiting = iter(range(len(tasks)))

    def occupy(child: Child) -> None:
        if (index := next(waiting, None)) is not None:
            child.begin(index, function, tasks[index])

    for child in children:
        occupy(child)
    while busy := [child for child in children if child.task is not None]:
        patience = max(0.0, min(child.deadline for child in busy) - time.monotonic())
        ready = wait([child.connection for child in busy], patience)
        for child in busy:
            answered = child.connection in ready
            if answered or child.deadline <= time.monotonic():
                index, result = child.finish(answered)
                occupy(child)
                yield index, result


_own = threading.local()


def run_alone(function: Callable[[Task], Result], task: Task, limits: Limits) -> Result | Lost:
    """Runs one task in a worker process of this thread; what a dask worker does with each of its tasks."""
    if getattr(_own, "limits", None) != limits:
        _own.limits, _own.child = limits, Child(limits)
    child: Child = _own.child
    child.begin(0, function, task)
    ready = wait([child.connection], limits.seconds)
    result: Result | Lost = child.finish(bool(ready))[1]
    return result


class Worker:
    """One worker process that is asked one thing after another, such as for the next clips of a video it holds open.

    Between ``ask`` and ``answer`` the caller can work too.

    Args:
        limits: of each request. After a loss the next request gets a fresh process, which remembers nothing.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._child = limits, Child(limits)

    def ask(self, function: Callable[[Task], Any], task: Task) -> None:
        """Hands over a request; the one before must have been answered."""
        self._child.begin(0, function, task)

    def answer(self) -> Any:
        """Waits for the request's result, or ``Lost``."""
        patience = max(0.0, self._child.deadline - time.monotonic())
        return self._child.finish(bool(wait([self._child.connection], patience)))[1]

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._child.task = None
        self._child.end()
