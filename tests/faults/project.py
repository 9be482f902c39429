"""A tiny run of every stage, each a process of its own, that can be ended at any moment."""

import hashlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML

from cache.store import CacheError
from stages import run_stage
from tests.faults.conditions import apply
from tests.imports import ROOT

STAGES = ("prepare", "render", "adapt", "extract", "distill", "evaluate", "report")
OUTPUTS = {
    "prepare": ["data/videos.csv", "data/labels.csv", "data/dataset.json", "data/videos", "results/prepare"],
    "render": ["data/clips.zarr", "results/render"],
    "adapt": ["models/teacher", "results/adapt"],
    "extract": ["data/targets.zarr", "results/extract"],
    "distill": ["models/student", "results/distill"],
    "evaluate": ["results/evaluate"],
    "report": ["results/report"],
}
TIMED = ("timing.json", "step_time.csv")
"""Files that say how long something took."""
TINY: dict[str, Any] = {
    "prepare": {
        "options": {"embedded": {"contents": 8, "levels": 2, "num_frames": 16, "sizes": [[128, 128]]}},
        "split": {"val": 0.3, "test": 0.3},
        "seed": 3,
    },
    "render": {"views_per_video": 1},
    "adapt": {"epochs": 1, "threads": 1, "seed": 1},
    "distill": {"epochs": 2, "threads": 1, "warmup_epochs": 1.0, "seed": 1},
    "evaluate": {"bootstrap": 100},
    "runtime": {"workers": 1},
}
SECONDS = 300.0
"""A stage that takes longer waits for something that never comes."""


class Run:
    """One project folder, and a process that starts stages in it.

    That process has imported every stage, and each stage is a fork of it: what is ended is then at work, not importing.

    Args:
        folder: made with a ``params.yaml`` of the tiny settings where it is not there.
        environment: variables of its processes, beside those of this one.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        if not folder.exists():
            (folder / ".dvc").mkdir(parents=True)
            params = YAML(typ="safe").load(ROOT / "params.yaml")
            for section, changes in TINY.items():
                params[section] |= changes
            YAML(typ="safe").dump(params, folder / "params.yaml")
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})}
        variables.pop("DVC_ROOT", None)
        command = [sys.executable, "-m", "tests.faults.project"]
        pipe = subprocess.PIPE
        self._server = subprocess.Popen(command, cwd=folder, env=variables, stdin=pipe, stdout=pipe, bufsize=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(SECONDS)
        self._server.stdout.close()

    def start(self, stage: str, condition: str = "") -> int:
        """Starts a stage, under a condition of ``conditions.py``; its process. What it prints is in ``<stage>.log``."""
        assert self._server.stdin is not None
        self._server.stdin.write(f"{stage} {condition}\n".encode())
        return self._answer(SECONDS)

    def wait(self, seconds: float = SECONDS) -> int:
        """Waits for the stage that was started; its exit status, negative where a signal ended it.

        Raises:
            TimeoutError: it is still at work.
        """
        return self._answer(seconds)

    def _answer(self, seconds: float) -> int:
        assert self._server.stdout is not None
        if not select.select([self._server.stdout], [], [], seconds)[0]:
            raise TimeoutError
        return int(self._server.stdout.readline())

    def finish(self, stage: str) -> float:
        """Runs a stage to its end; the seconds that it took."""
        self.start(stage)
        start = time.monotonic()
        assert self.wait() == 0, (self.folder / f"{stage}.log").read_text(encoding="utf-8")
        return time.monotonic() - start

    def end(self, stage: str, after_seconds: float, how: signal.Signals) -> float | None:
        """Starts a stage and ends it.

        Returns:
            None when it was still at work; else the seconds that it took to finish before that.
        """
        process = self.start(stage)
        start = time.monotonic()
        try:
            self.wait(after_seconds)
        except TimeoutError:
            os.kill(process, how)
            if self.wait() != 0:
                return None
        return time.monotonic() - start

    def digests(self, stage: str) -> dict[str, str]:
        """Digest of every file that a stage leaves, but for times."""
        found = {}
        for name in OUTPUTS[stage]:
            top = self.folder / name
            for path in sorted([top] if top.is_file() else top.rglob("*")):
                if path.is_file() and path.name not in TIMED:
                    found[str(path.relative_to(self.folder))] = hashlib.sha256(_untimed(path)).hexdigest()
        return found

    def forget_times(self) -> None:
        """Gives the files that say how long something took the same text in every run."""
        for path in self.folder.glob("results/*/timing.json"):
            path.write_text('{\n  "seconds": 1.0\n}\n', encoding="utf-8")
        metrics = self.folder / "results/extract/metrics.json"
        metrics.write_bytes(_untimed(metrics))

    def pooled(self) -> dict[Path, tuple[int, str]]:
        """The finished rows: inode and digest of each file of the pool that counts."""
        files = [path.with_suffix(".rows") for path in self.folder.glob(".teachonce/pool/*/*/*.json")]
        return {path: (path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


def serve() -> None:
    """Starts the stages that standard input names, one after another; prints the process and then its exit status."""
    # A job that a shell started in the background ignores interrupts, and so would all its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    mains = {stage: importlib.import_module(f"stages.{stage}").main for stage in STAGES}
    for line in sys.stdin:
        stage, _, condition = line.strip().partition(" ")
        process = os.fork()
        if not process:
            log = os.open(f"{stage}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for descriptor in (1, 2):
                os.dup2(log, descriptor)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.argv = [stage]
            if condition:
                apply(condition)
            run_stage(mains[stage], CacheError)
            return
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def _untimed(path: Path) -> bytes:
    if path.name != "metrics.json" or path.parent.name != "extract":
        return path.read_bytes()
    return json.dumps(json.loads(path.read_bytes()) | {"clips_per_second": 1.0}).encode()


if __name__ == "__main__":
    serve()
