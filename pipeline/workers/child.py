"""One worker process: the parent's side, and what runs inside."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any

from pipeline.core.errors import disk_refusal
from pipeline.workers.tasks import Limits, Lost, WorkerError

_DYING_SECONDS = 5.0


class Child:
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
        """Waits for a process that has reported what kills it, so that its traceback is printed whole."""
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


_START = (
    "import sys; from pipeline.workers.child import work; work(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))"
)


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
        with _Reporting(connection) as reporting:
            reporting.result = function(task)
        try:
            connection.send(reporting.result)
        except (BrokenPipeError, ConnectionResetError):
            return


class _Reporting:
    """Reports to the parent what a task raised, and then lets the process die of it."""

    result: Any = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> "_Reporting":
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
    """Limits the address space to what is taken now and ``extra_bytes`` more; only Linux can."""
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
