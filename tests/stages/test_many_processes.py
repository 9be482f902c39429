"""``stages.distill`` on two processes: both launchers, the same training as on one, a kill, one writer."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.stages.test_distill_evaluate import ROOT, write_project

STAGE = ["-m", "stages.distill"]
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    "accelerate": [
        *("accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1", "--main_process_port=0"),
        *("--mixed_precision=no", "--dynamo_backend=no", "--num_cpu_threads_per_process=1"),
    ],
}
SETTINGS = {"epochs": 2, "losses": {"feature_smoothl1": 1.0}, "batch_size": 8}


def start(folder: Path, launcher: str | None) -> subprocess.Popen:
    words = ["-m", *LAUNCHERS[launcher], *STAGE] if launcher else STAGE
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(folder: Path, launcher: str | None) -> str:
    process = start(folder, launcher)
    told, _ = process.communicate(timeout=280)
    assert process.returncode == 0, told
    return told


def curves(folder: Path) -> list[dict[str, float]]:
    with (folder / "results/distill/curves.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    write_project(folder, **SETTINGS)
    finish(folder, None)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_train_as_one_does(alone, launcher, tmp_path):
    write_project(tmp_path, **SETTINGS)
    told = finish(tmp_path, launcher)
    assert told.count("step time over") == 1
    for one, two in zip(curves(alone), curves(tmp_path), strict=True):
        assert two == pytest.approx(one, rel=2e-3)
    before, after = (load_file(folder / "models/student/model.safetensors") for folder in (alone, tmp_path))
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 0.01


@pytest.mark.slow
def test_two_killed_processes_go_on_to_the_same_weights(tmp_path):
    dropout = {"embed_dim": 32, "depth": 2, "num_heads": 2, "pool_num_heads": 2, "head_dropout": 0.3}
    settings = SETTINGS | {"epochs": 30, "options": {"internvideo2": dropout}}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        write_project(folder, **settings)
    finish(whole, "torchrun")
    process = start(killed, "torchrun")
    deadline = time.monotonic() + 200
    while not list(killed.glob(".teachonce/distill/*.state")) and time.monotonic() < deadline:
        time.sleep(0.02)
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()
    process.communicate()
    assert not (killed / "models").exists()
    assert "going on after epoch" in finish(killed, "torchrun")
    assert curves(whole) == curves(killed)
    weights = [load_file(folder / "models/student/model.safetensors") for folder in (whole, killed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
