"""Experiments that DVC runs beside each other, each in a folder of its own: they share the project's pool."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

PROGRAM = """
import time
from pathlib import Path
from tests.cache.toy import *
from cache.build import *
from cache.store import open_store

def slow(name, of, rows):
    time.sleep(0.3)
    return rows

out = Path("targets.zarr")
report = build(out, units(6), teacher=Teacher(change=slow), pool=Pool.locate(), adopt=[last_committed(out)])
print(report, open_store(out).digest())
"""


@pytest.mark.slow
def test_two_experiments_that_miss_the_same_targets_compute_them_once(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment.pop("DVC_ROOT", None)

    def start(*command: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=project, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def said(process: "subprocess.Popen[str]") -> str:
        told, _ = process.communicate(timeout=240)
        assert process.returncode == 0, told
        return told

    dvc = (sys.executable, "-m", "dvc")
    said(start("git", "init", "-q"))
    said(start(*dvc, "init", "-q"))
    (project / "build.py").write_text(PROGRAM)
    (project / "params.yaml").write_text("seed: 0\n")
    (project / "dvc.yaml").write_text(
        f"stages:\n  extract:\n    cmd: {sys.executable} build.py\n    params: [seed]\n    outs: [targets.zarr]\n"
    )
    (project / ".gitignore").write_text("/targets.zarr\n/.teachonce\n")
    said(start("git", "add", "-A"))
    said(start("git", "commit", "-qm", "a project"))

    runs = [start(*dvc, "exp", "run", "--temp", "-S", f"seed={seed}") for seed in (1, 2)]
    told = [said(run) for run in runs]
    counts = [re.findall(r"computed=(\d+), reused=(\d+)", words) for words in told]
    assert sorted(counts) == [[("0", "12")], [("12", "0")]], told
    assert len({words.split("failures={}) ")[1].split()[0] for words in told}) == 1
    assert (project / ".teachonce/pool").is_dir()
    assert not (project / "targets.zarr").exists()
