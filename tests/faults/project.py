"""A tiny run of every stage, each a process of its own as DVC starts it, that can be ended at any moment."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

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
    "adapt": {"epochs": 1, "threads": 1},
    "distill": {"epochs": 2, "threads": 1, "warmup_epochs": 1.0},
    "evaluate": {"bootstrap": 100},
    "runtime": {"workers": 1},
}
SECONDS = 300.0
"""A stage that takes longer waits for something that never comes."""


class Run:
    """One project folder.

    Args:
        folder: made here, with a ``params.yaml`` of the tiny settings.
        environment: variables of its processes, beside those of this one.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        (folder / ".dvc").mkdir(parents=True)
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        for section, changes in TINY.items():
            params[section] |= changes
        (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})}
        self._environment.pop("DVC_ROOT", None)

    def start(self, stage: str) -> "subprocess.Popen[bytes]":
        """Starts a stage; what it prints goes to ``<stage>.log``."""
        with (self.folder / f"{stage}.log").open("ab") as log:
            command = [sys.executable, "-m", f"stages.{stage}"]
            return subprocess.Popen(command, cwd=self.folder, env=self._environment, stdout=log, stderr=log)

    def finish(self, stage: str) -> float:
        """Runs a stage to its end; the seconds that it took."""
        start = time.monotonic()
        process = self.start(stage)
        try:
            process.wait(SECONDS)
        finally:
            process.kill()
        assert process.returncode == 0, (self.folder / f"{stage}.log").read_text(encoding="utf-8")
        return time.monotonic() - start

    def end(self, stage: str, after_seconds: float, how: signal.Signals) -> bool:
        """Starts a stage and ends it; whether it was still at work."""
        process = self.start(stage)
        try:
            process.wait(after_seconds)
            return False
        except subprocess.TimeoutExpired:
            process.send_signal(how)
            process.wait(SECONDS)
            return process.returncode != 0
        finally:
            process.kill()
            process.wait()

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


def _untimed(path: Path) -> bytes:
    if path.name != "metrics.json" or path.parent.name != "extract":
        return path.read_bytes()
    return json.dumps(json.loads(path.read_bytes()) | {"clips_per_second": 1.0}).encode()
