"""dvc.yaml says what each stage really depends on, and dvc.lock is that of the committed tree."""

import hashlib
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline.core.registry import names
from stages.params import load_params
from tests.imports import ROOT, closure, has_code

STAGES = ("prepare", "render", "adapt", "extract", "distill", "evaluate", "report")
CHOSEN = {
    "prepare": ("preparation.datasets", "video.decoders"),
    "render": ("video.decoders", "rendering.policies"),
    "distill": ("students.losses",),
    "evaluate": ("evaluation.metrics", "evaluation.baselines"),
    "report": ("reporting.panels",),
}
"""Rooms whose plug-ins a stage finds by name, any of them; the one teacher and the one student are looked up below."""
FREE = {"stages/params.py", "cache/__init__.py"}
"""Imported by stages and a dependency of none: the settings, of which DVC tracks each section, and a face that only
hands on names of ``cache/store``."""
NOT_IMPORTED = {
    "adapt": {
        "pipeline/models/plain_bases.py": "what scoring has in place of transformers",
        "pipeline/models/staging.py": "moves batches to a GPU, for extract and distill",
    },
    "distill": {
        "pipeline/models/plain_bases.py": "what scoring has in place of transformers",
        "pipeline/models/internvideo2/": "of the homologous student",
        "pipeline/students/shared/pretrained.py": "of the students backbone and swinv2_c2f",
        "pipeline/students/shared/qmamba/": "of the student qmamba",
    },
}
"""Files in the rooms of the two stages that train, which the default run does not import, and whose they are."""


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])


def entries(stage: str) -> list[str]:
    """The files that a stage begins with: its own, and the plug-ins that params.yaml may choose."""
    params = load_params(ROOT / "params.yaml")
    rooms = CHOSEN.get(stage, ())
    files = [f"pipeline/{room.replace('.', '/')}/{name}.py" for room in rooms for name in names(room)]
    if stage in ("render", "adapt"):
        files.append(f"pipeline/teachers/{params.adapt.teacher}.py")
    if stage in ("distill", "evaluate"):
        files.append(f"pipeline/students/{params.distill.student}.py")
    return [f"stages/{stage}.py", *files]


@cache
def imported(stage: str) -> frozenset[str]:
    """The project's files with code that a stage may load, but for those that are free."""
    found = set().union(*(closure(Path(entry), stop=FREE) for entry in entries(stage)))
    return frozenset(name for name in found - FREE if has_code(ROOT / name))


def code_deps(stage: dict[str, Any]) -> list[str]:
    params = load_params(ROOT / "params.yaml")
    chosen = {"${adapt.teacher}": params.adapt.teacher, "${distill.student}": params.distill.student}
    deps = [str(dep) for dep in stage["deps"]]
    for key, value in chosen.items():
        deps = [dep.replace(key, value) for dep in deps]
    return [dep for dep in deps if dep.split("/")[0] in ("cache", "pipeline", "stages")]


def lies_in(file: str, places: list[str]) -> bool:
    return any(file == place or file.startswith(place.rstrip("/") + "/") for place in places)


@pytest.mark.parametrize("stage", STAGES)
def test_every_import_lies_in_a_dependency_and_every_dependency_holds_an_import(
    stages: dict[str, Any], stage: str
) -> None:
    deps, files = code_deps(stages[stage]), imported(stage)
    assert not (missing := sorted(file for file in files if not lies_in(file, deps))), f"{stage} imports {missing}"
    idle = [dep for dep in deps if not any(lies_in(file, [dep]) for file in files) and has_code(ROOT / dep)]
    assert not idle, f"{stage} imports nothing of its dependencies {idle}"


@pytest.mark.parametrize(
    ("stage", "other"),
    [("adapt", "students"), ("extract", "students"), ("distill", "teachers"), ("evaluate", "teachers")],
)
def test_students_and_teachers_do_not_meet(stages: dict[str, Any], stage: str, other: str) -> None:
    wall = f"pipeline/{other}"
    assert not [file for file in imported(stage) if file.startswith(wall)]
    assert not [dep for dep in stages[stage]["deps"] if dep.startswith(wall)]


@pytest.mark.parametrize("stage", sorted(NOT_IMPORTED))
def test_files_of_a_training_stages_rooms_are_imported_but_for_a_named_few(stages: dict[str, Any], stage: str) -> None:
    places = [ROOT / dep for dep in code_deps(stages[stage])]
    files = {file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))}
    idle = {file.relative_to(ROOT).as_posix() for file in files if has_code(file)} - imported(stage)
    named = list(NOT_IMPORTED[stage])
    assert not (surplus := sorted(file for file in idle if not lies_in(file, named))), f"{stage}: {surplus}"
    assert not (gone := [name for name in named if not any(lies_in(file, [name]) for file in idle)]), gone


@pytest.mark.parametrize("stage", STAGES)
def test_a_dependency_is_in_git_or_another_stages_out(stages: dict[str, Any], stage: str) -> None:
    made = {next(iter(out)) if isinstance(out, dict) else out for name in stages for out in outs_of(stages[name])}
    for dep in stages[stage]["deps"]:
        if "${" not in dep and dep not in made and not any(out.startswith(f"{dep}/") for out in made):
            assert (ROOT / dep).exists(), f"{stage} depends on {dep}, which neither git nor a stage provides"


@pytest.mark.parametrize("stage", STAGES)
def test_a_room_that_is_a_dependency_holds_no_document_and_no_data(stages: dict[str, Any], stage: str) -> None:
    for dep in code_deps(stages[stage]):
        stray = [path for path in (ROOT / dep).rglob("*") if path.suffix in (".md", ".csv", ".json", ".safetensors")]
        assert not stray, f"{stage} would run again for {stray}"


def outs_of(stage: dict[str, Any]) -> list[Any]:
    return [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]


def test_runtime_settings_are_tracked_by_no_stage(stages: dict[str, Any]) -> None:
    for name, stage in stages.items():
        assert not [param for param in stage["params"] if param.startswith("runtime")], name


def test_no_out_persists_and_figures_belong_to_git(stages: dict[str, Any]) -> None:
    for name, stage in stages.items():
        for out in outs_of(stage):
            path, options = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            assert not options.get("persist"), f"{name}: {path} persists, which switches the run-cache off"
            if path.startswith("results/") and path.endswith((".json", ".csv", ".png")):
                assert options.get("cache") is False, f"{name}: {path} belongs to git"


def test_the_file_is_short() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 190


def test_the_lock_is_of_the_committed_tree(stages: dict[str, Any]) -> None:
    locked = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]
    for name in STAGES:
        for dep in locked[name]["deps"]:
            if (place := ROOT / dep["path"]).exists() and lies_in(dep["path"], tracked()):
                assert dep["md5"] == md5(place), f"{name}: {dep['path']} is not as in dvc.lock; run dvc repro, commit"


@cache
def tracked() -> list[str]:
    return ["cache", "pipeline", "stages", "models/pretrained", "results"]


def md5(place: Path) -> str:
    """DVC's digest of a file, or of a folder: of the sorted list of its files."""
    if place.is_file():
        return hashlib.md5(place.read_bytes()).hexdigest()
    rows = [
        {"md5": md5(file), "relpath": file.relative_to(place).as_posix()}
        for file in place.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    return hashlib.md5(json.dumps(sorted(rows, key=lambda row: row["relpath"])).encode()).hexdigest() + ".dir"


EDITS = {
    "pipeline/students/qmamba.py": set(),
    "pipeline/students/fragments.py": {"distill", "evaluate"},
    "pipeline/students/losses/cosine.py": {"distill"},
    "pipeline/students/shared/calibration.py": {"distill", "evaluate"},
    "pipeline/reporting/page.py": {"report"},
    "pipeline/scoring/card.py": set(),
    "pipeline/preparation/datasets/kvq.py": {"prepare"},
    "pipeline/commands/score.py": set(),
    "pipeline/reporting/settings.py": {"report"},
    "pipeline/rendering/settings.py": {"render"},
    "pipeline/evaluation/settings.py": {"evaluate"},
    "pipeline/teachers/internvideo2_1b.py": set(),
    "pipeline/teachers/internvideo2_tiny.py": {"render", "adapt"},
    "pipeline/teachers/adaptation/fine_tuning.py": {"adapt"},
    "pipeline/teachers/extraction/extract.py": {"extract"},
    "pipeline/teachers/pretraining/training.py": set(),
    "cache/tools/gc.py": set(),
    "cache/build/pool.py": {"render", "extract"},
    "stages/params.py": set(),
}
"""A file of each room → the stages that run again once it is edited."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files, with dvc.lock, as a repository of their own."""
    place = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    return place


def changed_code(place: Path) -> set[str]:
    """The stages of which DVC says that a dependency among the code has changed."""
    with Repo(str(place)) as repo:
        found = repo.status()
    return {
        stage.rpartition(":")[2]  # DVC names the file too where it is not in the working folder
        for stage, changes in found.items()
        for change in changes
        if isinstance(change, dict)
        for path, state in change.get("changed deps", {}).items()
        if state == "modified" and path.split("/")[0] in ("cache", "pipeline", "stages")
    }


def test_an_edit_runs_what_it_concerns_again_and_nothing_else(copy: Path) -> None:
    assert changed_code(copy) == set()
    for name, expected in EDITS.items():
        text = (copy / name).read_text(encoding="utf-8")
        (copy / name).write_text(text + "\n# edited\n", encoding="utf-8")
        assert changed_code(copy) == expected, name
        (copy / name).write_text(text, encoding="utf-8")
