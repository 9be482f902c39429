"""The comparison of students: pairs on one cache, every student of the folder in the plan, one table."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import spearmanr

from benchmarks import comparison
from benchmarks.ledger import Ledger
from pipeline.aligned import AlignedData
from pipeline.params import DistillSettings, Params, load_params
from pipeline.prediction import teacher_scores
from pipeline.probes import probe_all
from pipeline.registry import names
from pipeline.training import TrainingResult
from tests.tiny_run import write_tiny_run

ROOT = Path(__file__).parents[2]


def test_every_student_is_compared_and_has_its_stage() -> None:
    plan = comparison.read_plan(comparison.PLAN)
    assert set(plan["students"]) == set(names("students"))
    stages = yaml.safe_load((ROOT / "benchmarks/dvc.yaml").read_text(encoding="utf-8"))["stages"]
    tables = {f"results/comparison/{name}.csv" for name in [*plan["students"], "probes"]}
    assert tables <= set(stages["table"]["deps"])


def test_the_plans_settings_are_allowed_and_replace_only_what_they_name() -> None:
    params = load_params(ROOT / "params.yaml")
    plan = comparison.read_plan(comparison.PLAN)
    for name, changes in plan["students"].items():
        settings = comparison.settings_of(params, name, changes, 7)
        assert (settings.student, settings.seed) == (name, 7)
        assert settings.losses == params.distill.losses | changes.get("losses", {})


def test_an_ablation_changes_one_thing_of_a_student_in_the_plan() -> None:
    params, plan = load_params(ROOT / "params.yaml"), comparison.read_plan(comparison.PLAN)
    for name, changes in plan["ablations"].items():
        whole = comparison.settings_of(params, changes["student"], plan["students"][changes["student"]], 7).model_dump()
        changed = comparison.settings_of(params, name, changes, 7).model_dump()
        assert [field for field in whole if whole[field] != changed[field]] == [
            field for field in changes if field != "student"
        ]
    assert comparison.kind("internvideo2_longer") == "homologous"


def test_swinv2_c2f_trains_at_a_rate_of_its_own() -> None:
    params, plan = load_params(ROOT / "params.yaml"), comparison.read_plan(comparison.PLAN)
    rates = {
        name: comparison.settings_of(params, name, changes, 1).learning_rate
        for name, changes in plan["students"].items()
    }
    assert rates == dict.fromkeys(rates, params.distill.learning_rate) | {"swinv2_c2f": 0.0005}


def test_what_was_finished_is_kept_until_the_table_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    params, used = load_params(ROOT / "params.yaml"), []
    kept = comparison.SCRATCH / "qmamba" / comparison.FINISHED

    def trained(given: Params, name: str, changes: Any, seeds: Any, scratch: Path) -> list[dict[str, object]]:
        used.append(given.distill.threads)
        Ledger(scratch / comparison.FINISHED, {}).add([_row("qmamba", 1, "alone", 0.7)])
        return [_row("qmamba", 1, "alone", 0.7)]

    def no_space(*arguments: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(comparison, "load_params", lambda: params)
    monkeypatch.setattr(comparison, "train_all", trained)
    monkeypatch.setattr(sys, "argv", ["comparison", "student", "qmamba", "--threads", "7"])
    with monkeypatch.context() as patch:
        patch.setattr(comparison, "write_table", no_space)
        with pytest.raises(OSError, match="no space left"):
            comparison.main()
    assert kept.exists()
    monkeypatch.setattr(sys, "argv", ["comparison", "student", "qmamba"])
    comparison.main()
    assert comparison.read_rows(comparison.RESULTS / "qmamba.csv")[0]["srcc"] == 0.7
    assert not kept.exists()
    assert used == [7, params.distill.threads]
    for what in ("table", "probes"):
        monkeypatch.setattr(sys, "argv", ["comparison", what, "--threads", "7"])
        with pytest.raises(SystemExit):
            comparison.main()


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


def test_probes_stand_in_the_table_with_an_interval_and_without_a_gain(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = write_tiny_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "DataPaths", lambda: paths)
    monkeypatch.setattr(comparison, "load_params", lambda: load_params(ROOT / "params.yaml"))
    monkeypatch.setattr(sys, "argv", ["comparison", "probes"])
    comparison.main()
    rows = comparison.read_rows(comparison.RESULTS / "probes.csv")
    assert [row["student"] for row in rows] == ["ridge", "svr", "knn"]
    data = AlignedData(paths, "main")
    test = data.split("test")
    for name, values in probe_all(data, test).items():
        (row,) = (row for row in rows if row["student"] == name)
        assert row["srcc"] == pytest.approx(spearmanr(values, [entry.label.mos for entry in test]).statistic)
    teacher = _row("teacher", 1, "with targets", 0.90)
    table = comparison.comparison_table([*rows, _row("qmamba", 1, "with targets", 0.8), teacher])
    assert [row["kind"] for row in table] == ["teacher", "probe", "probe", "probe", "heterogeneous"]
    for row, made in zip(rows, table[1:4], strict=True):
        assert [made[name] for name in ("srcc", "srcc_low", "srcc_high")] == [
            row[name] for name in ("srcc", "srcc_low", "srcc_high")
        ]
        assert "gain" not in made
        assert row["srcc_low"] < row["srcc"] < row["srcc_high"]


def test_fidelity_is_agreement_with_the_teacher_and_not_with_the_scores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = AlignedData(write_tiny_run(tmp_path), "main")

    def like(values: Any) -> None:
        monkeypatch.setattr(comparison, "predict_videos", lambda student, data, entries, **_: values(entries))

    student: Any = None
    like(lambda entries: teacher_scores(data, entries))
    found = comparison.fit_and_fidelity(student, data)
    assert (found["train_fidelity"], found["test_fidelity"]) == pytest.approx((1.0, 1.0))
    assert found["train_srcc"] < 0.999
    like(lambda entries: np.array([entry.label.mos for entry in entries]))
    found = comparison.fit_and_fidelity(student, data)
    assert found["train_srcc"] == pytest.approx(1.0)
    assert max(found["train_fidelity"], found["test_fidelity"]) < 0.999


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
    assert [-1.0 <= row["val_srcc"] <= 1.0 for row in rows if row["student"] != "teacher"] == [True, True]
    assert {name for row in rows for name in row} == set(comparison.COLUMNS)
    assert f"{rows[0]['train_fidelity']:.3f}, {rows[0]['test_fidelity']:.3f}" in comparison.markdown(
        comparison.comparison_table(rows)
    )
    assert comparison.comparison_table(rows)[1]["parameters"] == rows[0]["parameters"]
