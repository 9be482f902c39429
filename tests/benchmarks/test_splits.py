"""Splits by content: never on both sides, every fold once, median and deviation over them."""

import statistics
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import splits
from benchmarks.splits import SplitsError, Study, check_teacher, divided, folds, repeated, summary
from pipeline.manifest import content_leaks
from pipeline.params import load_params
from tests.tiny_run import PARAMS, make_videos, tiny_settings, write_tiny_run

CONTENTS = [f"c{number}" for number in range(23) for _ in range(4)]


def test_random_splits_are_seeded_and_take_a_fifth_of_the_contents():
    parts = repeated(CONTENTS, repeats=10, test=0.2, seed=1)
    assert len(parts) == 10
    assert {len(part) for part in parts} == {5}
    assert len(set(parts)) > 5
    assert repeated(list(reversed(CONTENTS)), repeats=10, test=0.2, seed=1) == parts
    assert repeated(CONTENTS, repeats=10, test=0.2, seed=2) != parts


def test_each_content_is_tested_in_one_fold():
    parts = folds(CONTENTS, count=5, seed=1)
    assert sorted(name for part in parts for name in part) == sorted(set(CONTENTS))
    assert len(parts) == 5
    with pytest.raises(SplitsError, match="got 23 contents; expected at least 24"):
        folds(CONTENTS, count=24, seed=1)


def test_no_content_is_on_both_sides_and_a_student_validates_on_training_contents():
    labels = make_videos()[1]
    tested = repeated([label.content for label in labels], repeats=1, test=0.2, seed=3)[0]
    for study in (Study(), Study(student=True)):
        found = divided(labels, tested, study)
        assert content_leaks(found) == []
        assert {label.content for label in found if label.split == "test"} == tested
        assert any(label.split == "val" for label in found) == study.student
        assert len(found) == len(labels)


def test_targets_that_know_tested_scores_are_refused():
    params = load_params(PARAMS)
    adapted, passed = (
        params.model_copy(update={"adapt": params.adapt.model_copy(update={"epochs": epochs})}) for epochs in (3, 0)
    )
    with pytest.raises(SplitsError, match=r"use --adapt.*adapt\.epochs: 0"):
        check_teacher(adapted, Study())
    check_teacher(adapted, Study(adapt=True))
    check_teacher(passed, Study())


def test_the_summary_is_the_median_and_the_deviation():
    values = [0.5, 0.9, 0.8]
    rows = [
        {"split": number, "predictor": "ridge", **dict.fromkeys(splits.MEASURES, v)} for number, v in enumerate(values)
    ]
    line = summary(rows).splitlines()[-1]
    assert line.startswith(f"| ridge | 0.800 ({statistics.stdev(values):.3f}) |")
    assert "over 3 splits" in summary(rows)


def test_one_command_writes_a_row_per_split_and_predictor(tmp_path: Path, monkeypatch, capsys) -> None:
    write_tiny_run(tmp_path)
    before = (tmp_path / "data/labels.csv").read_bytes()
    monkeypatch.chdir(tmp_path)
    params = load_params(PARAMS)
    small = params.model_copy(
        update={
            "adapt": params.adapt.model_copy(update={"epochs": 0}),
            "distill": tiny_settings(epochs=1),
            "evaluate": params.evaluate.model_copy(update={"bootstrap": 100}),
            "runtime": params.runtime.model_copy(update={"workers": 1, "device": "cpu"}),
        }
    )
    monkeypatch.setattr(splits, "load_params", lambda: small)
    monkeypatch.setattr(sys, "argv", ["splits", "--repeats", "2", "--baselines", "--student"])
    splits.main()
    table = (tmp_path / "results/splits/table.csv").read_text().splitlines()
    assert table[0] == "split,predictor,srcc,krcc,plcc_logistic4,rmse_logistic4"
    rows = [line.split(",") for line in table[1:]]
    predictors = {row[1] for row in rows}
    assert {"ridge", "svr", "knn", "hand_features", "crf_codec", "student"} <= predictors
    assert sorted(row[0] for row in rows) == sorted(["1", "2"] * len(predictors))
    assert np.median([float(row[2]) for row in rows if row[1] == "ridge"]) > 0.7
    assert "| ridge |" in capsys.readouterr().out
    assert (tmp_path / "data/labels.csv").read_bytes() == before
