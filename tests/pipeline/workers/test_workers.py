"""Workers: what is lost is one task, never the stage."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from pipeline.workers.dask import DaskWorkers, make_workers
from pipeline.workers.local import LocalWorkers, run_alone
from pipeline.workers.tasks import Limits, Lost, WorkerError

LIMITS = Limits(seconds=20.0)


def test_every_task_is_answered_once_in_any_order() -> None:
    for num_workers in (1, 3):
        results = dict(LocalWorkers(num_workers, LIMITS).map(abs, [-1, 2, -3, 4, -5]))
        assert results == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5}
    assert list(LocalWorkers(2, LIMITS).map(abs, [])) == []


def test_work_goes_on_in_another_process() -> None:
    pids = dict(LocalWorkers(1, LIMITS).map(eval, ["__import__('os').getpid()"] * 3))
    assert len(set(pids.values())) == 1
    assert os.getpid() not in pids.values()


def test_a_task_that_takes_too_long_is_lost_alone() -> None:
    start = time.monotonic()
    results = dict(LocalWorkers(1, Limits(seconds=1.5)).map(time.sleep, [0, 60, 0]))
    assert results == {0: None, 1: Lost("took longer than 1.5 s"), 2: None}
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGTERM"])
def test_a_crash_is_lost_alone(name: str) -> None:
    crash = f"__import__('os').kill(__import__('os').getpid(), {int(getattr(signal, name))})"
    results = dict(LocalWorkers(1, LIMITS).map(eval, ["1", crash, "3"]))
    assert (results[0], results[2]) == (1, 3)
    assert isinstance(results[1], Lost)
    assert f"died of signal {name}" in results[1].reason


def test_an_exit_and_an_exception_are_lost_alone(capfd: pytest.CaptureFixture[str]) -> None:
    results = dict(LocalWorkers(1, LIMITS).map(eval, ["1", "__import__('os')._exit(7)", "1 / 0", "3"]))
    assert results[1] == Lost("the worker process ended with status 7")
    assert results[2] == Lost("unexpected ZeroDivisionError: division by zero")
    assert (results[0], results[3]) == (1, 3)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_memory_is_limited() -> None:
    limits = Limits(seconds=20.0, memory_bytes=1 << 28)
    results = dict(LocalWorkers(1, limits).map(eval, ["len(bytearray(1 << 29))", "len(bytearray(1 << 26))"]))
    assert results[0] == Lost("ran out of the memory that a task may use")
    assert results[1] == 1 << 26


BURN = "[None for start in [__import__('time').process_time()] for _ in iter(lambda: __import__('time').process_time() "
BURN += "- start < {seconds}, False)] and 'done'"


def test_processor_time_is_limited_for_each_task_anew() -> None:
    limits = Limits(seconds=60.0, cpu_seconds=0.4)
    tasks = [
        BURN.format(seconds=0.35),
        BURN.format(seconds=0.35),
        BURN.format(seconds=0.35),
        BURN.format(seconds=30),
        "1",
    ]
    results = dict(LocalWorkers(1, limits).map(eval, tasks))
    assert [results[index] for index in (0, 1, 2, 4)] == ["done", "done", "done", 1]
    assert results[3] == Lost("took more than 0.4 s of processor time")


def test_a_task_whose_stage_was_killed_does_not_go_on_for_ever() -> None:
    program = "\n".join(
        [
            "from pipeline.workers.local import Limits, LocalWorkers",
            "task = \"print(__import__('os').getpid(), flush=True) or [None for _ in iter(int, 1)]\"",
            "next(LocalWorkers(1, Limits(seconds=600.0, cpu_seconds=0.5)).map(eval, [task]))",
        ]
    )
    stage = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert stage.stdout is not None
    worker = int(stage.stdout.readline())
    stage.kill()
    stage.wait()
    deadline = time.monotonic() + 60
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(worker)
    stage.stdout.close()


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_task_prints_does_not_disturb(capfd: pytest.CaptureFixture[str]) -> None:
    assert dict(LocalWorkers(1, LIMITS).map(print, ["hello"])) == {0: None}
    capfd.readouterr()


def test_stopping_early_ends_the_processes() -> None:
    results = LocalWorkers(2, LIMITS).map(
        eval, ["__import__('os').getpid()"] * 2 + ["__import__('time').sleep(50)"] * 4
    )
    pids = [next(results)[1], next(results)[1]]
    results.close()
    for pid in pids:
        assert isinstance(pid, int)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_numerical_libraries_are_told_their_threads() -> None:
    workers = LocalWorkers(1, Limits(seconds=20.0, threads=3))
    assert dict(workers.map(eval, ["__import__('os').environ['OMP_NUM_THREADS']"])) == {0: "3"}


def test_run_alone_keeps_its_process_and_survives_a_loss() -> None:
    first = run_alone(eval, "__import__('os').getpid()", LIMITS)
    assert run_alone(eval, "__import__('os').getpid()", LIMITS) == first
    assert run_alone(eval, "__import__('os')._exit(1)", LIMITS) == Lost("the worker process ended with status 1")
    assert run_alone(eval, "__import__('os').getpid()", LIMITS) not in (first, os.getpid())


def test_runtime_chooses_the_room() -> None:
    assert isinstance(make_workers(None, num_workers=2, limits=LIMITS), LocalWorkers)
    assert isinstance(make_workers("tcp://127.0.0.1:1", num_workers=2, limits=LIMITS), DaskWorkers)


def test_a_scheduler_that_is_not_there_is_named() -> None:
    with pytest.raises(WorkerError, match=r"cannot reach tcp://127.0.0.1:9"):
        list(DaskWorkers("tcp://127.0.0.1:9", LIMITS, patience_seconds=0.5).map(abs, [1]))


@pytest.mark.slow
def test_dask_workers_answer_like_local_ones() -> None:
    with _scheduler() as address:
        tasks = ["1", "__import__('os')._exit(7)", "3", "4"]
        assert dict(DaskWorkers(address, LIMITS).map(eval, tasks)) == dict(LocalWorkers(1, LIMITS).map(eval, tasks))


@contextmanager
def _scheduler() -> Iterator[str]:
    """A dask scheduler with one worker, each a process of its own, on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rsplit(":", 1)[1]
    commands = [
        ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"],
        ["worker", address, "--no-dashboard", "--nthreads", "1", "--no-nanny"],
    ]
    processes = [
        subprocess.Popen([sys.executable, "-m", "dask", *command], stderr=subprocess.DEVNULL) for command in commands
    ]
    try:
        yield address
    finally:
        for process in processes:
            process.kill()
            process.wait()
