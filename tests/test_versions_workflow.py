"""A data set that changes: versions on a real DVC repository with a remote.

The commands are those of the section "Versioning a data set" of ``docs/using.md``; the last test holds the two
together.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline.models.internvideo2 import InternVideo2
from pipeline.teachers.adaptation.initial import teacher_config
from tests.imports import ROOT
from tests.test_workflow import Project, git
from tests.videos import write_video

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
OPTIONS = "{low: 1.0, high: 5.0, columns: {content: content}}"
DOCUMENT = ROOT / "docs/using.md"
RAN: list[str] = []
"""Every command of these tests."""
NAMES = [f"{content}_{crf}" for content in "abcde" for crf in (20, 45)]


class Brought(Project):
    """A clone whose data set is a table and videos in ``data/raw/csv``, tracked by DVC, with a remote beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        git(folder, "config", "user.name", "t")
        git(folder, "config", "user.email", "t@example.org")
        self.replace("dataset: embedded", "dataset: csv")
        self.replace("  options:\n", f"  options:\n    csv: {OPTIONS}\n")
        section = "adapt:\n"
        text = (folder / "params.yaml").read_text(encoding="utf-8")
        head, tail = text.split(section, 1)
        (folder / "params.yaml").write_text(
            head + section + tail.replace("epochs: 2", "epochs: 0", 1), encoding="utf-8"
        )
        self.replace("checkpoint: null", "checkpoint: mine")
        stages = (folder / "dvc.yaml").read_text(encoding="utf-8")
        # Up to the teacher: what follows would take its time and show nothing more.
        (folder / "dvc.yaml").write_text(stages[: stages.index("  distill:\n")], encoding="utf-8")
        self.replace("embedding_normed, logits, tokens]", "embedding_normed]")
        torch.manual_seed(1)
        teacher_config("internvideo2_tiny").save_pretrained(folder / "mine")
        save_file(InternVideo2(teacher_config("internvideo2_tiny")).state_dict(), folder / "mine/model.safetensors")
        self.scores = {name: 4.5 if name.endswith("20") else 1.5 for name in NAMES}
        (folder / "data/raw/csv").mkdir(parents=True)
        for number, name in enumerate(NAMES):
            self.encode(name, number)
        self.dvc("remote", "add", "--default", "shelf", str(folder.parent / "remote"))

    def dvc(self, *arguments: str, good: bool = True) -> str:
        RAN.append(" ".join(["dvc", *arguments]))
        return super().dvc(*arguments, good=good)

    def git(self, *arguments: str) -> str:
        RAN.append(" ".join(["git", *arguments]))
        return git(self.folder, *arguments)

    def encode(self, name: str, number: int) -> None:
        path = self.folder / f"data/raw/csv/{name}.mp4"
        path.unlink(missing_ok=True)
        crf = name.split("_")[1]
        size = {"width": 128 + 16 * (number % 4), "height": 128 + 16 * (number // 4)}
        write_video(path, num_frames=16, texture=True, options={"crf": crf}, **size)

    def publish(self, tag: str) -> list[str]:
        """Writes the table, tracks the folder, runs the stages, commits, tags, pushes; the stages that ran."""
        rows = [f"{name}.mp4,{score},{name[0]}" for name, score in sorted(self.scores.items())]
        table = self.folder / "data/raw/csv/labels.csv"
        table.unlink(missing_ok=True)
        table.write_text("\n".join(["path,mos,content", *rows]) + "\n")
        self.dvc("add", "data/raw/csv")
        ran = self.repro()
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", tag)
        self.git("tag", tag)
        self.dvc("push")
        return ran

    def computed(self) -> int:
        told = json.loads((self.folder / ".teachonce/last_extract.json").read_text(encoding="utf-8"))
        return int(told["computed"])

    def views(self) -> int:
        text = (self.folder / "params.yaml").read_text(encoding="utf-8")
        return int(text.split("views_per_video: ")[1].split()[0])

    def table(self, name: str = "videos.csv") -> str:
        return (self.folder / "data" / name).read_text(encoding="utf-8")

    def diff(self, *versions: str) -> dict:
        RAN.append(" ".join(["teachonce", "data", "diff", *versions]))
        code = "import sys; from pipeline.commands.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "data", "diff", *versions, "--json"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Brought:
    project = Brought(tmp_path_factory.mktemp("versions") / "project")
    assert project.publish("v1") == ["prepare", "render", "adapt", "extract"]
    views = project.views()
    assert project.computed() == len(NAMES) * views
    (project.folder / "data/raw/csv/b_20.mp4").unlink()
    del project.scores["b_20"]
    project.encode("c_45", 13)
    project.encode("f_30", 14)
    project.scores |= {"f_30": 3.0, "a_20": 5.0}
    assert project.publish("v2") == ["prepare", "render", "adapt", "extract"]
    assert project.computed() == 2 * views, "one video was added and one replaced"
    return project


def test_what_changed_is_told(project: Brought) -> None:
    told = project.diff("v1", "v2")
    assert (told["added"], told["removed"], told["replaced"], told["to_compute"]) == (["f_30"], ["b_20"], ["c_45"], 2)
    assert told["relabelled"] == [{"video_id": "a_20", "old": 4.5, "new": 5.0}]
    assert not any(told["split"])
    assert project.diff("v2")["added"] == []


def test_switching_versions_computes_nothing(project: Brought) -> None:
    newer = project.table(), project.table("labels.csv")
    project.git("checkout", "--quiet", "v1")
    project.dvc("checkout")
    assert project.table() != newer[0]
    assert (project.folder / "data/raw/csv/b_20.mp4").exists()
    assert project.repro() == []
    project.git("checkout", "--quiet", "v2")
    project.dvc("checkout")
    assert (project.table(), project.table("labels.csv")) == newer
    assert project.repro() == []


def test_installed_hooks_switch_the_data_with_git(project: Brought, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    project.dvc("install")
    project.git("checkout", "--quiet", "v1")
    assert (project.folder / "data/raw/csv/b_20.mp4").exists()
    assert "f_30" not in project.table()
    project.git("checkout", "--quiet", "v2")
    assert not (project.folder / "data/raw/csv/b_20.mp4").exists()
    assert "f_30" in project.table()
    for hook in ("post-checkout", "pre-commit", "pre-push"):
        (project.folder / ".git/hooks" / hook).unlink(missing_ok=True)


def test_relabelling_runs_no_teacher_unless_it_is_adapted(project: Brought) -> None:
    project.scores["d_45"] = 2.0
    assert project.publish("v3") == ["prepare", "adapt"]
    project.replace("epochs: 0", "epochs: 1")
    assert project.publish("v4") == ["adapt", "extract"]
    project.scores["d_45"] = 1.0
    ran = project.publish("v5")
    assert "render" not in ran
    assert ran[:2] == ["prepare", "adapt"]


def test_a_second_clone_pulls_and_computes_one_video(project: Brought, tmp_path: Path) -> None:
    other = clone_of(project, tmp_path / "clone", "v2")
    clone = other.folder
    other.dvc("pull")
    assert other.repro() == []
    rows = (clone / "data/raw/csv/labels.csv").read_text().splitlines()[1:]
    other.scores = {row.split(",")[0].removesuffix(".mp4"): float(row.split(",")[1]) for row in rows}
    other.encode("g_30", 15)
    other.scores["g_30"] = 2.5
    assert other.publish("clone-v3") == ["prepare", "render", "adapt", "extract"]
    assert other.computed() == other.views()


def clone_of(project: Brought, folder: Path, tag: str) -> Brought:
    words = ["clone", "--quiet", "--branch", tag, str(project.folder), str(folder)]
    RAN.append(" ".join(["git", *words]))
    subprocess.run(["git", *words], check=True)
    other = object.__new__(Brought)
    other.folder, other.scores = folder, {}
    git(folder, "config", "user.name", "t")
    git(folder, "config", "user.email", "t@example.org")
    return other


def test_another_project_imports_a_version_and_prepares_it(project: Brought, tmp_path: Path) -> None:
    other = clone_of(project, tmp_path / "other", "v2")
    git(other.folder, "rm", "--quiet", "data/raw/csv.dvc")
    other.dvc("import", str(project.folder), "data/raw/csv", "--rev", "v1", "-o", "data/raw/csv")
    assert (other.folder / "data/raw/csv/b_20.mp4").exists()
    assert not (other.folder / "data/raw/csv/f_30.mp4").exists()
    assert other.repro("prepare") == ["prepare"]
    assert "b_20" in other.table()
    assert "f_30" not in other.table()


def test_the_document_shows_what_was_run_here(project: Brought) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").split("## Versioning a data set\n")[1].split("\n## ")[0]
    shown = [line for line in section.split("```sh\n")[1].split("```")[0].splitlines() if line and line[0] != "#"]
    assert len(shown) > 12
    places = {"<folder>": "data/raw/csv", "<remote>": r"\S+", "<repository>": r"\S+", "<clone>": r"\S+"}
    for line in shown:
        pattern = re.escape(line)
        for name, value in places.items():
            pattern = pattern.replace(re.escape(name), value)
        assert any(re.fullmatch(pattern, command) for command in RAN), f"{line!r} was not run"
