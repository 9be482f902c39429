"""The pipeline as people use it: a clone, ``dvc repro``, and what each kind of change runs again."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

pytestmark = pytest.mark.slow
SMALL = {
    r"embedded: \{.*\}": "embedded: {contents: 12, levels: 4, num_frames: 16}",
    r"(?m)^  epochs: .*": "  epochs: 2",
    r"bootstrap: .*": "bootstrap: 100",
    # Seeds of their own: a handful of contents has empty splits under some.
    r"(?m)^  seed: .*": "  seed: 1",
}


NO_NETWORK = """
import socket

def refuse(self, address):
    if self.family != socket.AF_UNIX and str(address[0]) not in ("127.0.0.1", "::1", "localhost"):
        raise SystemExit(f"the pipeline tried to connect to {address!r}")
    return connect(self, address)

connect, socket.socket.connect = socket.socket.connect, refuse
"""
"""Run by every Python process of the pipeline when it starts."""


class Project:
    """A clone with settings small enough for a test, in which no process can reach another machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        for changed in git(ROOT, "diff", "--name-only", "HEAD", "--diff-filter=d").split():
            shutil.copyfile(ROOT / changed, folder / changed)
        (folder.parent / "offline").mkdir()
        (folder.parent / "offline/sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
        params = folder / "params.yaml"
        text = params.read_text(encoding="utf-8")
        for pattern, value in SMALL.items():
            text, count = re.subn(pattern, value, text)
            assert count, pattern
        params.write_text(text, encoding="utf-8")
        git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--all", "-m", "small")

    def dvc(self, *arguments: str, good: bool = True) -> str:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        environment["PYTHONPATH"] = str(self.folder.parent / "offline")
        environment.pop("DVC_ROOT", None)
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == good, done.stdout + done.stderr
        return done.stdout

    def repro(self, *arguments: str) -> list[str]:
        """Runs the pipeline; the stages that really ran."""
        return re.findall(r"Running stage '(\w+)'", self.dvc("repro", *arguments))

    def replace(self, old: str, new: str, path: str = "params.yaml") -> None:
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    def metrics(self, stage: str = "evaluate") -> str:
        return (self.folder / f"results/{stage}/metrics.json").read_text(encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("clone") / "project")
    ran = project.repro()
    assert ran == ["prepare", "render", "adapt", "extract", "distill", "evaluate", "report"]
    return project


def test_a_second_run_runs_nothing(project: Project) -> None:
    assert project.repro() == []


def test_no_process_can_reach_another_machine(project: Project) -> None:
    asked = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": str(project.folder.parent / "offline")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "tried to connect" in done.stderr


def test_every_declared_number_and_page_is_there(project: Project) -> None:
    metrics = json.loads(project.metrics())
    for who in ("student", "teacher", "baseline", "crf_codec", "bits_per_pixel", "hand_features", "mean"):
        assert set(metrics[who]) >= {
            "srcc",
            "srcc_low",
            "srcc_high",
            "krcc",
            "plcc_raw",
            "plcc_logistic4",
            "rmse_raw",
            "rmse_logistic4",
        }
    header = (project.folder / "results/evaluate/predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "video_id,mos,teacher,student"
    assert set(json.loads(project.metrics("extract"))) == {"rows", "failed", "clips_per_second"}
    page = (project.folder / "results/report/index.html").read_text(encoding="utf-8")
    assert "pseudo-MOS (MS-SSIM)" in page


def test_runtime_settings_and_a_new_sibling_run_nothing(project: Project) -> None:
    project.replace("  workers: 2", "  workers: 1")
    (project.folder / "pipeline/students/another.py").write_text('"""A new student."""\n', encoding="utf-8")
    assert project.repro() == []


def test_a_new_data_set_is_looked_at_by_prepare_and_changes_no_data(project: Project) -> None:
    """Any of them may be a part of ``combined``, so ``prepare`` depends on the folder; the report shows its time."""
    file = project.folder / "pipeline/preparation/datasets/another.py"
    file.write_text('"""A new data set."""\n', encoding="utf-8")
    before = (project.folder / "data/videos.csv").read_bytes(), project.metrics()
    assert project.repro() == ["prepare", "report"]
    assert ((project.folder / "data/videos.csv").read_bytes(), project.metrics()) == before


def test_a_distill_setting_runs_the_student_alone_and_going_back_computes_nothing(project: Project) -> None:
    before = project.metrics()
    section = "distill:\n"
    at = (project.folder / "params.yaml").read_text(encoding="utf-8")
    changed = re.sub(rf"({section}(?:.*\n)*?  seed: )\d+", r"\g<1>77", at, count=1)
    (project.folder / "params.yaml").write_text(changed, encoding="utf-8")
    assert project.repro() == ["distill", "evaluate", "report"]
    assert project.metrics() != before
    (project.folder / "params.yaml").write_text(at, encoding="utf-8")
    assert project.repro() == []
    assert project.metrics() == before


def test_fewer_labels_run_no_decoding(project: Project) -> None:
    project.replace("labelled_fraction: 1.0", "labelled_fraction: 0.5")
    ran = project.repro()
    assert "prepare" in ran
    assert "render" not in ran
    project.replace("labelled_fraction: 0.5", "labelled_fraction: 1.0")
    assert project.repro() == []


def test_the_student_trains_without_a_teacher(project: Project) -> None:
    """All of the teacher's side is away, but for the files that params.yaml is checked against."""
    teachers = project.folder / "pipeline/teachers"
    code = [file for file in teachers.rglob("*.py") if file.parent != teachers and file.name != "settings.py"]
    away = {project.folder / "models/teacher": project.folder / "away"}
    away |= {file: file.with_suffix(".away") for file in code if file.name != "__init__.py"}
    assert len(away) > 10
    for path, place in away.items():
        path.rename(place)
    try:
        assert project.repro("--single-item", "--force", "distill") == ["distill"]
    finally:
        for path, place in away.items():
            place.rename(path)


def test_the_same_seed_gives_the_same_numbers(project: Project) -> None:
    before = project.metrics(), project.metrics("distill")
    project.repro("--single-item", "--force", "distill")
    project.repro("--single-item", "--force", "evaluate")
    assert (project.metrics(), project.metrics("distill")) == before


def test_experiments_are_run_and_shown(project: Project) -> None:
    git(
        project.folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--all", "-m", "run"
    )
    project.dvc("exp", "run", "-S", "distill.learning_rate=0.0005", "--name", "slower")
    shown = project.dvc("exp", "show", "--csv")
    assert "slower" in shown
    project.dvc("plots", "diff", "HEAD", "workspace", "-o", "plots")
    assert (project.folder / "plots/index.html").exists()


def test_students_are_compared_by_queued_experiments(project: Project) -> None:
    students = ["internvideo2", "swinv2_c2f", "qmamba"]
    project.dvc("exp", "run", "--queue", "-S", f"distill.student={','.join(students)}")
    ran = project.dvc("exp", "run", "--run-all")
    assert re.findall(r"Running stage '(\w+)'", ran) == ["distill", "evaluate", "report"] * len(students)
    shown = list(csv.DictReader(io.StringIO(project.dvc("exp", "show", "--csv"))))
    srcc = {row["distill.student"]: row["student"] for row in shown if row["student"]}
    assert set(students) <= set(srcc)
