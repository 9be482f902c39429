"""Experiments become a table: grouped by setting, paired by seed, failures named."""

import copy
import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from typer.testing import CliRunner

from pipeline.commands.cli import _application
from pipeline.evaluation.experiments import StudyError
from pipeline.evaluation.study import COLUMNS, as_text, make_study, save
from tests.toy_study import Toy

RECORDED = Path(__file__).with_name("recorded") / "experiments.json"
"""What DVC 3.67 shows of `Toy` after the commands of the slow test below and one more in the queue."""
ALONE = "distill.losses.tokens=0.0"


@pytest.fixture
def shown() -> list[dict[str, Any]]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def experiment(shown: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(each for each in shown[1]["experiments"] if each["name"] == name)


def test_a_row_is_a_setting_with_its_mean_and_interval_over_seeds(shown, tmp_path):
    rows = make_study(shown, tmp_path, name="sizes").rows
    assert [(row.group, row.n) for row in rows] == [
        ("student=large", 3),
        ("student=large tokens=0", 2),
        ("student=small", 3),
        ("student=small tokens=0", 2),
    ]
    small = rows[2]
    assert small.values == pytest.approx([0.821, 0.822, 0.824])
    half = stats.t.ppf(0.975, 2) * stats.tstd(small.values) / math.sqrt(3)
    assert (small.mean, small.low, small.high) == pytest.approx((2.467 / 3, 2.467 / 3 - half, 2.467 / 3 + half))
    assert small.difference is None


def test_a_base_serves_every_student_and_pairs_equal_seeds(shown, tmp_path):
    study = make_study(shown, tmp_path, name="sizes", base=[ALONE])
    by_group = {row.group: row for row in study.rows}
    assert by_group["student=small tokens=0"].difference is None
    for student in ("small", "large"):
        row = by_group[f"student={student}"]
        assert (row.difference, row.difference_low, row.difference_high) == pytest.approx((0.02, 0.02, 0.02))
    unpaired = {each["experiment"] for each in study.left_out if "no difference" in each["reason"]}
    assert unpaired == {"sizes-with-3", "sizes-with-6"}


@pytest.mark.parametrize("spelling", ["tokens=0", "losses.tokens=0.0", "distill.losses.tokens=0"])
def test_a_base_may_be_spelled_shorter(shown, tmp_path, spelling):
    assert make_study(shown, tmp_path, base=[spelling]).base == {"distill.losses.tokens": 0.0}


def test_pairing_goes_by_seed_and_not_by_order(shown, tmp_path):
    pair = [experiment(shown, f"sizes-alone-{number}")["revs"][0]["data"]["metrics"] for number in (1, 2)]
    for metrics, value in zip(pair, (0.5, 0.7), strict=True):
        metrics["results/evaluate/summary.json"]["data"]["student"] = value
    shown[1]["experiments"].reverse()
    row = next(row for row in make_study(shown, tmp_path, base=[ALONE]).rows if row.group == "student=small")
    differences = [0.821 - 0.5, 0.822 - 0.7]
    half = stats.t.ppf(0.975, 1) * stats.tstd(differences) / math.sqrt(2)
    assert row.difference == pytest.approx(sum(differences) / 2)
    assert row.difference_high - row.difference == pytest.approx(half)


def test_what_failed_or_waits_is_named_and_not_counted_with_its_commits_metrics(shown, tmp_path):
    assert experiment(shown, "sizes-fast")["revs"][0]["data"]["metrics"], "DVC shows the commit's own"
    study = make_study(shown, tmp_path)
    reasons = {each["experiment"]: (each["group"], each["reason"]) for each in study.left_out}
    assert reasons["sizes-fast"] == (
        "student=small rate=2",
        "it failed; dvc queue logs sizes-fast says why",
    )
    assert "waits in the queue" in reasons["sizes-late"][1]
    assert not any("rate" in row.group for row in study.rows)
    assert "sizes-fast (student=small rate=2): it failed" in as_text(study)


def test_an_experiment_without_the_metric_is_named(shown, tmp_path):
    experiment(shown, "other")["revs"][0]["data"]["metrics"] = {}
    experiment(shown, "sizes-with-1")["revs"][0]["data"]["metrics"]["results/evaluate/summary.json"]["data"] = {"a": 1}
    reasons = {each["experiment"]: each["reason"] for each in make_study(shown, tmp_path).left_out}
    assert "has no number 'results/evaluate/summary.json:student'; it has no metric" in reasons["other"]
    assert "it has results/evaluate/summary.json:a" in reasons["sizes-with-1"]


def test_an_experiment_that_runs_has_no_metrics_yet(shown, tmp_path):
    entry = experiment(shown, "other")
    entry["executor"]["state"] = "running"
    missing = {"error": {"msg": "", "type": "FileNotFoundError"}}
    entry["revs"][0]["data"]["metrics"]["results/evaluate/summary.json"] = missing
    reasons = {each["experiment"]: each["reason"] for each in make_study(shown, tmp_path).left_out}
    assert reasons["other"] == "it still runs"


def test_a_metric_may_be_given_by_its_key_where_one_file_has_it(shown, tmp_path):
    assert {row.mean for row in make_study(shown, tmp_path, metric="coverage").rows} == {0.9}
    for entry in shown[1]["experiments"]:
        entry["revs"][0]["data"]["metrics"]["results/distill/summary.json"] = {"data": {"coverage": 0.5}}
    with pytest.raises(StudyError, match=r"several files have 'coverage': .*evaluate.*distill.*say which"):
        make_study(shown, tmp_path, metric="coverage")


def test_of_two_equal_experiments_the_newer_counts(shown, tmp_path):
    again = copy.deepcopy(experiment(shown, "other"))
    again["name"] = "again"
    again["revs"][0]["data"]["timestamp"] = "2030-01-01T00:00:00"
    again["revs"][0]["data"]["metrics"]["results/evaluate/summary.json"]["data"]["student"] = 0.1
    shown[1]["experiments"].append(again)
    study = make_study(shown, tmp_path)
    assert 0.1 in next(row for row in study.rows if row.group == "student=small").values
    assert {"experiment": "other", "group": "student=small"}.items() <= study.left_out[0].items()
    assert "again has the same setting and seeds" in study.left_out[0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "nothing"}, r"no experiment of 'nothing'; it has other, .*--name nothing"),
        ({"name": "sizes-fast"}, r"no experiment counts:\n  sizes-fast \(rate=2\): it failed"),
        ({"base": ["distill.losses.token=0.0"]}, r"'distill.losses.token=0.0'.*did you mean 'distill.losses.tokens'"),
        ({"base": ["distill.seed=1"]}, "that is no seed"),
        ({"base": ["distill.losses.tokens"]}, "expected parameter=value"),
        ({"base": ["oss.tokens=0"]}, "did you mean"),
        ({"base": ["distill.rate=0.25"]}, r"no experiment has one of the same .* but for distill.rate=0.25"),
    ],
)
def test_what_cannot_be_tabulated_says_why(shown, tmp_path, arguments, message):
    with pytest.raises(StudyError, match=message):
        make_study(shown, tmp_path, **arguments)


def project(root: Path) -> Path:
    for name, text in {
        "models/teacher/teacher.json": '{"weights_sha256": "ab"}',
        "data/videos.csv": "video_id\n",
        "data/labels.csv": "video_id,mos\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_the_files_have_the_table_and_what_it_is_of(shown, tmp_path):
    study = make_study(shown, project(tmp_path), name="sizes", base=[ALONE])
    with save(study, tmp_path / "results/study").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(COLUMNS)
    assert [row["difference"] == "" for row in table] == [False, True, False, True]
    saved = json.loads((tmp_path / "results/study/sizes.json").read_text(encoding="utf-8"))
    assert saved["commit"] == shown[1]["rev"]
    assert saved["teacher_sha256"] == "ab"
    assert len(saved["videos_sha256"]) == len(saved["labels_sha256"]) == 64
    assert saved["base"] == {"distill.losses.tokens": 0.0}
    assert saved["rows"][1]["changes"] == {"distill.student": "large", "distill.losses.tokens": 0.0}


def test_a_teacher_that_not_all_experiments_have_is_not_claimed(shown, tmp_path):
    experiment(shown, "sizes-with-1")["revs"][0]["data"]["deps"]["models/teacher"]["hash"] = "another.dir"
    study = make_study(shown, project(tmp_path))
    assert study.teacher_sha256 is None
    assert study.videos_sha256 is not None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_queued_experiments_are_run_and_tabulated(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    toy.queue("sizes-with", "distill.seed=1,2")
    toy.queue("sizes-alone", "distill.seed=1,2", ALONE)
    toy.queue("sizes-fast", "distill.seed=1", "distill.rate=2.0")
    toy.run("dvc", "exp", "run", "--run-all")
    monkeypatch.chdir(tmp_path)
    arguments = ["study", "sizes", "--base", ALONE, "--json"]
    done = CliRunner().invoke(_application(arguments), arguments)
    assert done.exit_code == 0, done.output
    study = json.loads(done.stdout)
    assert [(row["group"], row["n"], row["difference"]) for row in study["rows"]] == [
        ("as committed", 2, pytest.approx(0.02)),
        ("tokens=0", 2, None),
    ]
    assert [each["experiment"] for each in study["left_out"]] == ["sizes-fast"]
    assert study["teacher_sha256"] == "ab" * 32
    assert (tmp_path / "results/study/sizes.csv").read_text(encoding="utf-8").startswith(",".join(COLUMNS))
