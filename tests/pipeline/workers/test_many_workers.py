"""One process, four processes and a dask scheduler with two workers write the same bytes, whoever dies or comes late.

Start-up is the two commands of ``docs/using.md``, ``dask scheduler`` and ``dask worker ADDRESS --nthreads 1``.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.build import Pool
from cache.store import open_store
from pipeline.rendering.render import render, view_policies
from pipeline.teachers.extraction.extract import extract
from pipeline.teachers.extraction.extractor import Plan
from pipeline.teachers.extraction.settings import ExtractSettings
from pipeline.teachers.shared.saved import load_teacher
from tests.imports import ROOT
from tests.pipeline.rendering.test_render import manifest_of, runtime_with, settings_with, tree
from tests.pipeline.teachers.extraction.test_extract import SETTINGS, counts, write_teacher
from tests.videos import write_video

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NUM_VIDEOS = 12
VIEW_SET = {"policy": "resize", "sampling": "uniform", "num_frames": 8, "size": 112}
TARGETS = ExtractSettings(**(SETTINGS.model_dump() | {"dtype": "float16"}))


class Cluster:
    """A dask scheduler of this machine, and workers that come and go."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.address = f"tcp://127.0.0.1:{port}"
        self._scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", port)
        self.workers: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def _start(*command: str) -> "subprocess.Popen[bytes]":
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *command, "--no-dashboard"], env=environment, stderr=subprocess.DEVNULL
        )

    def join(self) -> None:
        """Starts one more worker; it is there some seconds later."""
        self.workers.append(self._start("worker", self.address, "--nthreads", "1", "--no-nanny"))

    def end(self) -> None:
        """Ends everything."""
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        yield cluster
    finally:
        cluster.end()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos and a teacher."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "data").mkdir()
    for number in range(NUM_VIDEOS):
        path = folder / f"data/v{number:02d}.mp4"
        write_video(path, texture=True, width=128 + 16 * number, num_frames=16 + number)
    write_teacher(folder / "teacher")
    return folder


def render_and_extract(inputs: Path, folder: Path, **runtime: object) -> dict[str, dict[str, str]]:
    """Both stages from nothing, in a project of its own; the digests of every file of both stores."""
    folder.mkdir()
    settings = settings_with(view_sets={"main": VIEW_SET})
    report = render(
        settings,
        view_policies(settings, None),
        manifest_of(inputs / "data"),
        data_root=inputs / "data",
        store=folder / "clips.zarr",
        runtime=runtime_with(**runtime),
        pool=Pool(folder / ".teachonce/pool"),
    )
    assert (report.computed, report.failed) == (2 * NUM_VIDEOS, 0)
    plan = Plan(teacher=load_teacher(inputs / "teacher"), clips=folder / "clips.zarr", settings=TARGETS, device="cpu")
    extract(plan, folder / "targets.zarr", runtime_with(**runtime))
    assert counts()["computed"] == 2 * NUM_VIDEOS
    assert open_store(folder / "targets.zarr").verify(deep=True) == []
    return {name: tree(folder / name) for name in ("clips.zarr", "targets.zarr")}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to work in; each run has a folder, and a pool, of its own there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def alone(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What one process writes."""
    place = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("DVC_ROOT", str(place / "one"))
        return render_and_extract(inputs, place / "one")


def test_four_processes_write_what_one_writes(
    inputs: Path, project: Path, alone: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(project / "four"))
    assert render_and_extract(inputs, project / "four", workers=4) == alone


def test_a_scheduler_with_two_workers_writes_what_one_process_writes(
    inputs: Path, project: Path, alone: dict[str, dict[str, str]], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(project / "dask"))
    cluster.join()
    cluster.join()
    assert render_and_extract(inputs, project / "dask", scheduler=cluster.address) == alone


def test_a_worker_that_dies_and_one_that_joins_late_change_no_byte(
    inputs: Path, project: Path, alone: dict[str, dict[str, str]], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(project / "lossy"))
    pool = project / "lossy/.teachonce/pool"
    total = NUM_VIDEOS * (1 + len(TARGETS.kinds))
    finished_at_death: list[int] = []

    def kill_and_replace() -> None:
        """Once a row is finished the only worker is killed, and another comes: once per stage."""
        for wanted in (1, NUM_VIDEOS + 1):
            while (done := len(list(pool.glob("*/??/*.json")))) < wanted and not over.is_set():
                time.sleep(0.001)
            worker = cluster.workers[-1]
            worker.kill()
            worker.wait()
            finished_at_death.append(done)
            cluster.join()

    over = threading.Event()
    cluster.join()
    killer = threading.Thread(target=kill_and_replace)
    killer.start()
    try:
        written = render_and_extract(inputs, project / "lossy", scheduler=cluster.address)
    finally:
        over.set()
        killer.join()
    assert written == alone
    first, second = finished_at_death
    assert 1 <= first < NUM_VIDEOS, "the first worker died while videos were rendered"
    assert NUM_VIDEOS < second < total, "the second worker died while targets were extracted"
