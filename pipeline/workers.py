"""One mapper interface, two rooms to work in: processes of this machine, or the workers of a dask scheduler.

A task runs in a process of its own kind, which is told one task at a time and can be lost without harm: when it takes
too long it is killed, when it crashes or runs out of memory its task comes back as ``Lost``, and the next task gets a
fresh process. So a hostile video costs a row, never the stage. Results come in any order.

The process is an interpreter started anew rather than a fork: no lock, thread or open file of the stage is in it.
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any, Protocol, TypeVar

from pipeline.errors import PipelineError, disk_refusal

Task = TypeVar("Task")
Result = TypeVar("Result")


_DYING_SECONDS = 5.0
_AHEAD = 2
"""Tasks per thread that a dask scheduler is given at a time."""


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
        children = [_Child(self._limits) for _ in range(min(self._num_workers, len(tasks)))]
        try:
            yield from _serve(children, function, tasks)
        finally:
            for child in children:
                child.end()


def _serve(
    children: list["_Child"], function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[tuple[int, Result | Lost]]:
    waiting = iter(range(len(tasks)))

    def occupy(child: _Child) -> None:
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


class _Child:
    """The parent's side of one worker process, started when first needed and again after each loss."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self.connection: Connection
        self.task: int | None = None
        self.deadline = 0.0

    def begin(self, index: int, function: Callable[..., Any], task: Any) -> None:
        """Hands over a task."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        self.task, self.deadline = index, time.monotonic() + self._limits.seconds
        try:
            self.connection.send((function, task))
        except (BrokenPipeError, ConnectionResetError):
            self._start()
            self.connection.send((function, task))

    def finish(self, answered: bool) -> tuple[int, Any]:
        """Takes the answer, or the loss, of the task at hand."""
        index, self.task = self.task, None
        assert index is not None
        if not answered:
            self.end()
            return index, Lost(f"took longer than {self._limits.seconds:g} s")
        try:
            result = self.connection.recv()
        except (EOFError, ConnectionResetError):
            return index, Lost(self._cause_of_death())
        if isinstance(result, Lost):
            self._let_die()
        return index, result

    def _let_die(self) -> None:
        """Waits for a process that has told what killed it, so that its traceback is printed whole."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_SECONDS)
        self.end()

    def _start(self) -> None:
        self.end()
        self.connection, theirs = Pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = str(self._limits.threads)
        limits = [str(self._limits.memory_bytes or 0), str(self._limits.cpu_seconds or 0)]
        command = [sys.executable, "-c", _START, str(theirs.fileno()), *limits]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=environment
            )
        except OSError as error:
            raise WorkerError(f"cannot start a worker process: {error}") from None
        finally:
            theirs.close()

    def _cause_of_death(self) -> str:
        assert self._process is not None
        status = self._process.wait()
        self.end()
        if status < 0:
            if -status == signal.SIGXCPU:
                return f"took more than {self._limits.cpu_seconds:g} s of processor time"
            name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
            killed = " (killed, perhaps for want of memory)" if name == "SIGKILL" else ""
            return f"the worker process died of signal {name}{killed}"
        return f"the worker process ended with status {status}"

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.connection.close()
            self._process = None


_START = "import sys; from pipeline.workers import work; work(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))"


def work(descriptor: int, memory_bytes: int, cpu_seconds: float) -> None:
    """The worker process: answers tasks until the connection closes.

    Args:
        descriptor: of the connection.
        memory_bytes: address space that a task may add; 0 sets no limit.
        cpu_seconds: processor time that a task may take; 0 sets no limit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    limited = False
    while True:
        try:
            function, task = connection.recv()
        except EOFError:
            return
        if memory_bytes and not limited:
            _limit_memory(memory_bytes)
            limited = True
        if cpu_seconds:
            _limit_time(cpu_seconds)
        with _Telling(connection) as telling:
            telling.result = function(task)
        try:
            connection.send(telling.result)
        except (BrokenPipeError, ConnectionResetError):
            return


class _Telling:
    """Tells the parent what a task raised, and then lets the process die of it."""

    result: Any = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> "_Telling":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is MemoryError:
            self._connection.send(Lost("ran out of the memory that a task may use"))
        elif isinstance(error, OSError) and (refusal := disk_refusal(error)):
            self._connection.send(Lost(refusal))
            raise SystemExit(1)  # of which no traceback is printed
        elif kind is not None:
            self._connection.send(Lost(f"unexpected {kind.__name__}: {error}"))


def _limit_memory(extra_bytes: int) -> None:
    """Limits the address space to what is taken now and ``extra_bytes`` more; only Linux can tell and obey."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        taken_bytes = int(file.read().split()[0]) * resource.getpagesize()
    _, ceiling = resource.getrlimit(resource.RLIMIT_AS)
    limit = taken_bytes + extra_bytes
    if ceiling != resource.RLIM_INFINITY:
        limit = min(limit, ceiling)
    resource.setrlimit(resource.RLIMIT_AS, (limit, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(extra_seconds: float) -> None:
    """Limits the processor time to what was taken until now and ``extra_seconds`` more, rounded up."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(usage.ru_utime + usage.ru_stime + extra_seconds)
    _, ceiling = resource.getrlimit(resource.RLIMIT_CPU)
    if ceiling != resource.RLIM_INFINITY:
        limit = min(limit, ceiling)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, ceiling))


_rooms = threading.local()


def run_alone(function: Callable[[Task], Result], task: Task, limits: Limits) -> Result | Lost:
    """Runs one task in a worker process that this thread keeps; what a dask worker does with each of its tasks."""
    if getattr(_rooms, "limits", None) != limits:
        _rooms.limits, _rooms.child = limits, _Child(limits)
    child: _Child = _rooms.child
    child.begin(0, function, task)
    ready = wait([child.connection], limits.seconds)
    result: Result | Lost = child.finish(bool(ready))[1]
    return result


class WorkerRoom:
    """One worker process that is asked one thing after another, such as for the next clips of a video it holds open.

    Between ``ask`` and ``answer`` the caller can work too.

    Args:
        limits: of each request. After a loss the next request gets a fresh process, which remembers nothing.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._child = limits, _Child(limits)

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


@dataclass
class DaskWorkers:
    """The workers of a ``dask.distributed`` scheduler.

    Attributes:
        address: of the scheduler, such as ``tcp://host:8786``.
        limits: of each task.
        patience_seconds: how long to look for the scheduler.
    """

    address: str
    limits: Limits
    patience_seconds: float = 10.0

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result | Lost]]:
        """As ``Mapper.map``; a task whose dask worker dies is given to another by dask, and lost after a few deaths."""
        from distributed import Client, KilledWorker, as_completed

        try:
            client = Client(self.address, timeout=self.patience_seconds)
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            # Without a certificate dask raises a TypeError; a stranger's is an OSError.
            encrypted = ", name the certificates (pipeline/README.md)" if self.address.startswith("tls:") else ""
            raise WorkerError(
                f"runtime.scheduler: cannot reach {self.address}: {error}; start a scheduler there{encrypted}, "
                "or set it to null"
            ) from None
        with client:
            if not client.nthreads():
                print(f"no worker has joined {self.address} yet; waiting for one", file=sys.stderr)
            indices: dict[Any, int] = {}
            waiting = iter(range(len(tasks)))
            running = as_completed()

            def occupy() -> None:
                # Asked anew each time: workers may have joined or died.
                room = _AHEAD * max(1, sum(client.nthreads().values())) - len(indices)
                for index in islice(waiting, max(room, 0)):
                    future = client.submit(run_alone, function, tasks[index], self.limits, pure=False)
                    indices[future] = index
                    running.add(future)

            occupy()
            for future in running:
                try:
                    result = future.result()
                except KilledWorker:
                    result = Lost("every dask worker that tried it died")
                index = indices.pop(future)
                future.release()
                occupy()
                yield index, result


def make_workers(scheduler: str | None, *, num_workers: int, limits: Limits) -> Mapper:
    """The room that ``runtime`` asks for.

    Args:
        scheduler: address of a dask scheduler; None works on this machine.
        num_workers: processes on this machine.
        limits: of each task.
    """
    return DaskWorkers(scheduler, limits) if scheduler else LocalWorkers(num_workers, limits)
