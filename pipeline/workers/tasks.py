"""What a task may use, and what becomes of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pipeline.core.errors import PipelineError

Task = TypeVar("Task")


Result = TypeVar("Result")


class WorkerError(PipelineError):
    """Workers cannot be started or reached."""


@dataclass(frozen=True)
class Lost:
    """What becomes of a task whose process did not live to answer.

    Attributes:
        reason: why, the same whenever the same happens again.
    """

    reason: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one task may use.

    Attributes:
        seconds: wall-clock time.
        memory_bytes: address space beyond what the process has when it is idle; None sets no limit.
        cpu_seconds: processor time; it ends a task whose stage was killed and can no longer watch it. None sets no
            limit.
        threads: of numerical libraries.
    """

    seconds: float
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    threads: int = 1


class Mapper(Protocol):
    """Runs a function over tasks, somewhere."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result | Lost]]:
        """Runs ``function`` on every task.

        Args:
            function: importable by name; an exception it raises is a ``Lost``.
            tasks: picklable.

        Yields:
            The task's index and what became of it, in any order. At most a few results exist at a time.
        """
