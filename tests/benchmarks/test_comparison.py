"""The comparison of students: pairs on one cache, every student of the folder in the plan, one table."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import comparison
from pipeline.params import DistillSettings, load_params
from pipeline.registry import names
from pipeline.training import TrainingResult
from tests.tiny_run import write_tiny_run

ROOT = Path(__file__).parents[2]


def test_every_student_is_compared_and_has_its_stage() -> None:
    plan = comparison.read_plan(comparison.PLAN)
    assert set(plan["students"]) == set(names("students"))
    stages = yaml.safe_load((ROOT / "benchmarks/dvc.yaml").read_text(encoding="utf-8"))["stages"]
    tables = {f"results/comparison/{name}.csv" for name in plan["students"]}
    assert tables <= set(stages["table"]["deps"])


def test_the_plans_settings_are_allowed_and_replace_only_what_they_name() -> None:
    params = load_params(ROOT / "params.yaml")
    plan = comparison.read_plan(comparison.PLAN)
    for name, changes in plan["students"].items():
        settings = comparison.settings_of(params, name, changes, 7)
        assert (settings.student, settings.seed) == (name, 7)
        assert settings.losses == params.distill.losses | changes.get("losses", {})


def _row(student: str, seed: int, variant: str, srcc: float) -> dict[str, object]:
    cost = {"parameters": 2e6, "flops": 3e8, "milliseconds": 4.0, "training_seconds": 50.0}
    low_high = {"srcc_low": srcc - 0.1, "srcc_high": srcc + 0.1}
    return {"student": student, "seed": seed, "variant": variant, "srcc": srcc, "plcc": 0.7} | low_high | cost


def test_the_table_pairs_by_seed_and_puts_the_teacher_first() -> None:
    rows = [
        _row("qmamba", 1, "with targets", 0.80),
        _row("qmamba", 1, "alone", 0.70),
        _row("qmamba", 2, "with targets", 0.82),
        _row("qmamba", 2, "alone", 0.74),
        _row("teacher", 1, "with targets", 0.90),
        _row("teacher", 2, "with targets", 0.90),
    ]
    teacher, student = comparison.comparison_table(rows)
    assert (teacher["predictor"], teacher["kind"], teacher["srcc_low"]) == ("teacher", "teacher", pytest.approx(0.8))
    assert (student["kind"], student["seeds"]) == ("heterogeneous", 2)
    assert student["srcc"] == pytest.approx(0.81)
    # Gains 0.10 and 0.08: mean 0.09, deviation 0.01 √2, t(0.975, 1) = 12.706.
    assert student["gain"] == pytest.approx(0.09)
    assert student["gain_low"] == pytest.approx(0.09 - 12.706 * 0.01, abs=1e-4)
    text = comparison.markdown([teacher, student])
    assert "| qmamba | heterogeneous | 0.810 [" in text
    assert "2.00 M | 300 | 4.0 | 50 s |" in text


def test_a_pair_is_trained_on_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = write_tiny_run(tmp_path / "run")
    params = load_params(ROOT / "params.yaml")
    short = {"epochs": 1, "threads": 1, "batch_size": 4, "losses": {"mos_regression": 1.0, "feature_smoothl1": 1.0}}
    tiny = {"internvideo2": {"embed_dim": 32, "depth": 1, "num_heads": 2, "pool_num_heads": 2}}
    params = params.model_copy(update={"distill": params.distill.model_copy(update=short | {"options": tiny})})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "DataPaths", lambda: paths)
    trained = comparison.distil

    def stops(settings: DistillSettings, *arguments: Any, **more: Any) -> TrainingResult:
        if settings.losses == {"mos_regression": 1.0}:
            raise KeyboardInterrupt
        return trained(settings, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(comparison, "distil", stops)
        with pytest.raises(KeyboardInterrupt):
            comparison.train_all(params, "internvideo2", {}, [1], tmp_path / "scratch")

    def only_alone(settings: DistillSettings, *arguments: Any, **more: Any) -> TrainingResult:
        assert settings.losses == {"mos_regression": 1.0}
        return trained(settings, *arguments, **more)

    monkeypatch.setattr(comparison, "distil", only_alone)
    rows = comparison.train_all(params, "internvideo2", {}, [1], tmp_path / "scratch")
    assert [(row["student"], row["variant"]) for row in rows] == [
        ("internvideo2", "with targets"),
        ("teacher", "with targets"),
        ("internvideo2", "alone"),
    ]
    assert not (tmp_path / "scratch").exists()
    assert comparison.comparison_table(rows)[1]["parameters"] == rows[0]["parameters"]
