"""Killed at any moment, the next run continues and ends in the same bytes; two runs at once compute once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache.build import Pool
from cache.store import LockTimeoutError, open_store
from cache.store.lock import Lock
from tests.cache.toy import SPECS, build, tree, units
from tests.imports import ROOT


def start(store: Path, pool: Path, count: int, pause: float, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.cache.toy", str(store), str(pool), str(count), str(pause), str(log)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: "subprocess.Popen[bytes]") -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out.decode()
    return out.decode()


def end(process: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    process.send_signal(how)
    process.communicate(timeout=60)


def kill_many_times(tmp_path: Path, kills: int, count: int, seed: int) -> None:
    generator = random.Random(seed)
    build(tmp_path / "undisturbed", units(count))
    build(tmp_path / "s.zarr", units(2))
    allowed = [tree(tmp_path / "s.zarr"), tree(tmp_path / "undisturbed")]
    log = tmp_path / "log"
    log.touch()
    for _ in range(kills):
        process = start(tmp_path / "s.zarr", tmp_path / "pool", count, 0.01, log)
        before = log.stat().st_size
        deadline = time.monotonic() + 30
        # Wait until it works, then for any while, so that lookups, computing, writing and publishing are all hit.
        while process.poll() is None and log.stat().st_size == before and time.monotonic() < deadline:
            if generator.random() < 0.002:
                break
            time.sleep(0.005)
        time.sleep(generator.random() * 0.02 * count)
        end(process, generator.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        assert tree(tmp_path / "s.zarr") in allowed
        assert open_store(tmp_path / "s.zarr").verify() == []
        # Another beginning of the work for the next round, now and then.
        if generator.random() < 0.3:
            build(tmp_path / "s.zarr", units(2))
    finish(start(tmp_path / "s.zarr", tmp_path / "pool", count, 0, log))
    assert tree(tmp_path / "s.zarr") == allowed[1]
    assert not list(tmp_path.glob(".*building*"))
    computed = log.read_text().split()
    # At most the one video in flight is computed twice per kill.
    assert len(computed) <= count + kills
    assert set(computed) <= {unit.source for unit in units(count)}


def test_a_few_kills_end_in_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    kill_many_times(tmp_path, kills=3, count=12, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(4))
def test_many_kills_end_in_the_bytes_of_an_undisturbed_run(tmp_path: Path, seed: int) -> None:
    kill_many_times(tmp_path, kills=25, count=40, seed=100 + seed)


@pytest.mark.parametrize(
    "point", ["cache.store.replacing.os.replace", "cache.build.build.publish", "cache.store.replacing.os.rename"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_a_chosen_point_ends_in_the_same_bytes(tmp_path: Path, point: str, when: str) -> None:
    program = f"""
import os, sys
from pathlib import Path
from tests.cache import toy
from cache.build import Pool
import {point.rsplit(".", 2)[0] if ".os." in point else point.rsplit(".", 1)[0]} as module
owner = module.os if ".os." in {point!r} else module
name = {point.rsplit(".", 1)[1]!r}
real, calls = getattr(owner, name), []
def deadly(*arguments, **more):
    calls.append(1)
    last = len(calls) == (7 if "replace" in name else 1)
    if last and {when!r} == "before":
        os.kill(os.getpid(), 9)
    result = real(*arguments, **more)
    if last:
        os.kill(os.getpid(), 9)
    return result
setattr(owner, name, deadly)
toy.build(Path(sys.argv[1]), toy.units(4), pool=Pool(sys.argv[2]))
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "s.zarr"), str(tmp_path / "pool")]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == -9, done.stderr.decode()
    build(tmp_path / "s.zarr", units(4), pool=Pool(tmp_path / "pool"))
    build(tmp_path / "undisturbed", units(4))
    assert tree(tmp_path / "s.zarr") == tree(tmp_path / "undisturbed")
    assert not list(tmp_path.glob(".*building*"))


def test_two_runs_at_once_compute_once_and_end_in_the_same_bytes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    runs = [start(tmp_path / f"s{n}.zarr", tmp_path / "pool", 10, 0.05, log) for n in range(2)]
    told = [finish(run) for run in runs]
    assert sorted(log.read_text().split()) == [unit.source for unit in units(10)]
    assert sorted("computed=20" in words for words in told) == [False, True]
    assert sorted("reused=20" in words for words in told) == [False, True]
    assert tree(tmp_path / "s0.zarr") == tree(tmp_path / "s1.zarr")


def test_two_runs_at_once_may_write_one_store(tmp_path: Path) -> None:
    log = tmp_path / "log"
    runs = [start(tmp_path / "s.zarr", tmp_path / f"pool{n}", 6, 0.02, log) for n in range(2)]
    for run in runs:
        finish(run)
    build(tmp_path / "undisturbed", units(6))
    assert tree(tmp_path / "s.zarr") == tree(tmp_path / "undisturbed")
    assert not list(tmp_path.glob(".*building*"))


def test_the_lock_of_a_dead_process_is_free_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(tmp_path / "s.zarr", tmp_path / "pool", 10, 5.0, log)
    deadline = time.monotonic() + 60
    locks = [tmp_path / "pool" / spec.recipe / "lock" for spec in SPECS]
    while not all(lock.exists() and lock.stat().st_size for lock in locks) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(LockTimeoutError, match=f"process {process.pid} on"), Lock(locks[0], wait_seconds=0.1):
        pass
    end(process, signal.SIGKILL)
    for lock in locks:
        with Lock(lock, wait_seconds=0.5) as held:
            assert held.held


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    program = """
import os, sys, time
from pathlib import Path
from cache.store.lock import Lock
lock = Lock(Path(sys.argv[1]))
lock.acquire()
if os.fork() == 0:
    os.close(1)
    time.sleep(20)
    os._exit(0)
print("held", flush=True)
time.sleep(20)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            assert not Lock(tmp_path / "lock").try_acquire()
            process.kill()
            process.wait(timeout=20)
            with Lock(tmp_path / "lock", wait_seconds=1.0) as held:
                assert held.held
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_lock_file_that_was_replaced_is_locked_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = Lock(path)
    first.acquire()
    path.unlink()
    with Lock(path, wait_seconds=1.0) as second:
        assert second.held
        assert not Lock(path).try_acquire()
    first.release()
