"""The workers of a dask scheduler, and the choice between them and this machine's."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipeline.workers.local import LocalWorkers, run_alone
from pipeline.workers.tasks import Limits, Lost, Mapper, Result, Task, WorkerError

_AHEAD = 2
"""Tasks per thread that a dask scheduler is given at a time."""


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
            encrypted = ", name the certificates (docs/using.md)" if self.address.startswith("tls:") else ""
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
                free = _AHEAD * max(1, sum(client.nthreads().values())) - len(indices)
                for index in islice(waiting, max(free, 0)):
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
    """The workers that ``runtime`` asks for.

    Args:
        scheduler: address of a dask scheduler; None works on this machine.
        num_workers: processes on this machine.
        limits: of each task.
    """
    return DaskWorkers(scheduler, limits) if scheduler else LocalWorkers(num_workers, limits)
