"""The two student stages as programs: no teacher anywhere, the files that others rely on, a kill in between."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.commands.cli import _application
from stages import distill, run_stage
from tests.imports import ROOT
from tests.tiny_run import PARAMS, tiny_settings, write_tiny_run

WITHOUT_TEACHERS = """
import runpy, sys

import stages.params  # asks whether the decoders are there, and has the settings of every stage

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("pipeline.teachers") or name in ("av", "decord"):
            raise ModuleNotFoundError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuses())
for stage in sys.argv[1:]:
    runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
"""


def start(folder: Path, *stages: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", WITHOUT_TEACHERS, *stages]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finish(folder: Path, *stages: str) -> str:
    process = start(folder, *stages)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return errors


def write_project(folder: Path, **changes: object) -> None:
    write_tiny_run(folder)
    values = YAML(typ="safe").load(PARAMS)
    values["distill"] = tiny_settings(**changes).model_dump()
    values["evaluate"]["bootstrap"] = 100
    YAML(typ="safe").dump(values, folder / "params.yaml")


def test_distill_and_evaluate_need_no_teacher(tmp_path):
    write_project(tmp_path, epochs=2)
    errors = finish(tmp_path, "distill", "evaluate")
    assert "data wait" in errors
    assert {file.name for file in (tmp_path / "models/student").iterdir()} == {
        *("config.json", "model.safetensors"),
    }
    results = tmp_path / "results/distill"
    assert {file.name for file in results.iterdir()} == {
        *("metrics.json", "curves.csv", "step_time.csv", "timing.json"),
    }
    assert len((results / "curves.csv").read_text().splitlines()) == 1 + 2
    results = tmp_path / "results/evaluate"
    assert {file.name for file in results.iterdir()} == {
        *("metrics.json", "summary.json", "timing.json"),
        *("predictions.csv", "baselines.csv", "differences.csv", "details.csv"),
    }
    header = (results / "predictions.csv").read_text().splitlines()[0]
    assert header == "video_id,mos,teacher,student"
    metrics = json.loads((results / "metrics.json").read_text())
    assert {"student", "teacher", "baseline"} <= metrics.keys()
    check_published(tmp_path, metrics["student"])


def check_published(project: Path, tested: dict[str, float]) -> None:
    """``teachonce card`` adds the test figures to a copy, and refuses those of another student."""
    before = {file.name: file.read_bytes() for file in (project / "models/student").iterdir()}
    words = ["card", str(project / "shown"), "--model", str(project / "models/student")]
    words += ["--results", str(project / "results/evaluate"), "--licence", "apache-2.0"]
    done = CliRunner().invoke(_application(words), words)
    assert done.exit_code == 0, done.output
    shown = (project / "shown/README.md").read_text()
    assert f"| student | {tested['srcc']:.3f} ({tested['srcc_low']:.3f} … {tested['srcc_high']:.3f}) |" in shown
    assert "validation SRCC" in shown
    assert "license: apache-2.0\n" in shown
    assert "- Licence of these weights: apache-2.0\n" in shown
    assert "- Licence of the opinion scores:\n" in shown
    assert {file.name: file.read_bytes() for file in (project / "models/student").iterdir()} == before
    assert (project / "shown/model.safetensors").read_bytes() == before["model.safetensors"]
    assert "is there already" in str(CliRunner().invoke(_application(words), words).exception)
    details = project / "results/evaluate/details.csv"
    model = details.read_text().splitlines()[1].split(",")[-1]
    details.write_text(details.read_text().replace(model, "0" * 16))
    words[1] = str(project / "again")
    assert "figures of the student 0000000000000000" in str(CliRunner().invoke(_application(words), words).exception)


def test_a_wrong_setting_ends_with_one_clear_line(tmp_path, monkeypatch, capsys):
    write_project(tmp_path, student="internvideo2")
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("student: internvideo2", "student: internvideo"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run_stage(distill.main)
    assert ended.value.code == 1
    assert "unknown student 'internvideo'" in (errors := capsys.readouterr().err)
    assert "did you mean 'internvideo2'" in errors


@pytest.mark.slow
def test_a_killed_stage_goes_on_to_the_same_weights(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        write_project(folder, epochs=40)
    finish(whole, "distill")
    process = start(killed, "distill")
    deadline = time.monotonic() + 120
    while not list(killed.glob(".teachonce/distill/*.state")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not (killed / "models").exists()
    assert "going on after epoch" in finish(killed, "distill")
    for name in ("models/student/model.safetensors", "models/student/config.json", "results/distill/curves.csv"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
