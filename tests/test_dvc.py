"""dvc.yaml and benchmarks/dvc.yaml say what each stage really depends on."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.registry import names
from stages.params import Params, load_params
from tests.imports import ROOT, closure

STAGES = ("prepare", "render", "adapt", "extract", "distill", "evaluate", "report")


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.fixture(scope="module")
def compared() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "benchmarks/dvc.yaml").read_text(encoding="utf-8"))["stages"]


def wanted_code(stage: str) -> set[str]:
    """What the stage imports, the files that params.yaml chooses among them.

    What the students share is wanted whichever of them is chosen: ``dvc exp run -S distill.student=…`` changes only the
    choice, and must see it when that code has changed.
    """
    params = load_params(ROOT / "params.yaml")
    found = closure(Path(f"stages/{stage}.py"))
    for room in rooms_used(stage):
        for name in chosen(room, stage, params):
            found |= closure(Path(f"pipeline/{room}/{name}.py"))
    return found - {f"pipeline/students/{name}.py" for name in names("students") if name != params.distill.student}


def rooms_used(stage: str) -> list[str]:
    return {
        "prepare": ["datasets"],
        "render": ["teachers", "decoders"],
        "adapt": ["teachers"],
        "distill": ["students", "losses"],
        "evaluate": ["students"],
    }.get(stage, [])


def chosen(room: str, stage: str, params: Params) -> list[str]:
    return {
        "datasets": names("preparation.datasets"),
        "teachers": [params.adapt.teacher],
        "students": names("students"),
        "losses": list(params.distill.losses),
        "decoders": ["auto", "decord", "pyav", "yuv"],
    }[room]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_files_it_imports(stages: dict[str, Any], stage: str) -> None:
    params = load_params(ROOT / "params.yaml")
    listed = {
        dep.replace("${prepare.dataset}", params.prepare.dataset)
        .replace("${adapt.teacher}", params.adapt.teacher)
        .replace("${distill.student}", params.distill.student)
        for dep in stages[stage]["deps"]
    }
    check_code(stage, "dvc.yaml", listed, wanted_code(stage))


def check_code(stage: str, file: str, listed: set[str], wanted: set[str]) -> None:
    """What is wanted is listed, by itself or by a folder, and nothing else is."""
    code = {dep for dep in listed if dep.endswith(".py")}
    wanted = {path for path in wanted if not listed & {str(folder) for folder in Path(path).parents}}
    missing, superfluous = sorted(wanted - code), sorted(code - wanted)
    assert not missing, f"add to the deps of {stage} in {file}: {missing}"
    assert not superfluous, f"{stage} does not import these; remove them from its deps in {file}: {superfluous}"


@pytest.mark.parametrize("student", names("students"))
def test_a_student_of_the_comparison_depends_on_exactly_the_files_it_imports(
    stages: dict[str, Any], compared: dict[str, Any], student: str
) -> None:
    listed = {dep.replace("${key}", student) for dep in compared["student"]["do"]["deps"]}
    wanted = closure(Path("benchmarks/comparison.py")) | closure(Path(f"pipeline/students/{student}.py"))
    wanted = wanted.union(*(closure(Path(f"pipeline/losses/{name}.py")) for name in names("students.losses")))
    check_code("student", "benchmarks/dvc.yaml", listed, wanted)
    read = {dep for stage in ("distill", "evaluate") for dep in stages[stage]["deps"] if dep.startswith("data/")}
    assert {dep for dep in listed if dep.startswith("data/")} == read


def test_the_comparisons_probes_depend_on_exactly_the_files_they_import(compared: dict[str, Any]) -> None:
    listed = set(compared["probes"]["deps"])
    wanted = closure(Path("benchmarks/comparison.py"))
    wanted = wanted.union(*(closure(Path(f"pipeline/losses/{name}.py")) for name in names("students.losses")))
    check_code("probes", "benchmarks/dvc.yaml", listed, wanted)


def test_the_comparisons_table_depends_on_what_makes_it(compared: dict[str, Any]) -> None:
    deps = compared["table"]["deps"]
    assert {"benchmarks/comparison.py", "benchmarks/ledger.py", "pipeline/evaluation/metrics/shared/table.py"} <= set(
        deps
    )


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_depends_on_is_a_file_or_another_stages_out(stages: dict[str, Any], stage: str) -> None:
    made = {next(iter(out)) if isinstance(out, dict) else out for name in stages for out in outs_of(stages[name])}
    for dep in stages[stage]["deps"]:
        if "${" not in dep and dep not in made:
            assert (ROOT / dep).exists(), f"{stage} depends on {dep}, which neither git nor a stage provides"
            assert not (ROOT / dep).is_dir() or dep in ("data/raw", "pipeline/datasets"), (
                f"{stage} depends on the folder {dep}; name its files"
            )


def outs_of(stage: dict[str, Any]) -> list[Any]:
    return [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]


def test_runtime_settings_are_tracked_by_no_stage(stages: dict[str, Any]) -> None:
    for name, stage in stages.items():
        tracked = [param for param in stage.get("params", []) if isinstance(param, str)]
        assert not [param for param in tracked if param.startswith("runtime")], name


def test_no_out_persists_and_numbers_are_kept_by_git(stages: dict[str, Any]) -> None:
    for name, stage in stages.items():
        for out in outs_of(stage):
            path, options = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            assert not options.get("persist"), f"{name}: {path} persists, which switches the run-cache off"
            if path.endswith(("metrics.json", "timing.json", ".csv")) and path.startswith("results/"):
                assert options.get("cache") is False, f"{name}: {path} belongs to git"
