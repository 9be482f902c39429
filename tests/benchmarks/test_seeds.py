"""The seeds study: paired, split by content, and obedient to the labelled fraction."""

import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import seeds
from benchmarks.settings import without_targets
from pipeline import adaptation
from pipeline.manifest import DATA_ROOT, read_labels
from pipeline.params import Params, load_params
from pipeline.registry import UnknownName
from tests.pipeline.test_adaptation import CONFIG
from tests.stores import names, write_clips, write_tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params() -> Params:
    whole = load_params(ROOT / "params.yaml")
    small = {"epochs": 1, "threads": 1, "batch_size": 8}
    return whole.model_copy(
        update={
            "adapt": whole.adapt.model_copy(update=small | {"checkpoint": None, "trainable_blocks": 1}),
            "distill": whole.distill.model_copy(update=small),
            "evaluate": whole.evaluate.model_copy(update={"bootstrap": 100}),
            "runtime": whole.runtime.model_copy(update={"workers": 1, "device": "cpu"}),
        }
    )


def test_another_seed_splits_otherwise_and_hides_scores_of_training_contents_only(
    tmp_path: Path, params: Params
) -> None:
    write_tables(tmp_path, names(60))
    labels = read_labels(tmp_path / "labels.csv")
    one, two = (seeds.relabelled(labels, params, seed=seed, fraction=1.0) for seed in (1, 2))
    assert [label.split for label in one] != [label.split for label in two]
    assert all(label.labelled for label in one)
    few = seeds.relabelled(labels, params, seed=1, fraction=0.2)
    assert [label.split for label in few] == [label.split for label in one]
    train = [label.labelled for label in few if label.split == "train"]
    assert sum(train) == -(-len(train) // 5)
    assert all(label.labelled for label in few if label.split != "train")


def test_alone_means_no_loss_that_reads_a_target() -> None:
    losses = {"mos_regression": 1.0, "feature_smoothl1": 1.0, "teacher_score": 0.5, "ranking": 0.1}
    assert without_targets(losses) == {"mos_regression": 1.0, "ranking": 0.1}


def test_one_seed_gives_every_predictor_and_a_paired_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(adaptation.registry.find("teachers", "internvideo2_tiny"), "config", lambda: CONFIG)
    write_tables(tmp_path / "data", names(24))
    for name in names(24):
        (tmp_path / "data/videos").mkdir(exist_ok=True)
        (tmp_path / f"data/videos/{name}.mp4").write_bytes(bytes(100))
    (tmp_path / "data/raw").mkdir()
    write_clips(tmp_path / "data/clips.zarr", names(24), views=params.render.views_per_video)
    rows = seeds.run(params, seeds.Task(1.0, 1))
    rows += seeds.run(params, seeds.Task(1.0, 1, controls=True))
    predictors = {row["predictor"] for row in rows}
    assert {"student", "student_alone", "teacher", "crf_codec", "baseline"} <= predictors
    assert {"shuffled_targets", "first_values_teacher", "first_values_student"} <= predictors
    assert len(predictors) == len(rows)
    assert seeds.Task(1.0, 1).done_in(rows)
    assert not seeds.Task(1.0, 2).done_in(rows)
    again = [{**row, "seed": 2} for row in rows]
    text = seeds.summary([*rows, *again])
    assert "| student_alone |" in text
    for title in (
        "Student with targets minus",
        "Student with shuffled targets minus",
        "Teacher with first values minus",
    ):
        assert title in text
    assert "2 seeds" in text


PREDICTORS = ("teacher", "student", seeds.ALONE, "baseline", "hand_features")


def study(monkeypatch: pytest.MonkeyPatch, *arguments: str, code: str = "a", fails: bool = False) -> list[seeds.Task]:
    """Calls the program with runs that give made-up rows; returns what was run."""
    ran: list[seeds.Task] = []

    def made_up(params: Params, task: seeds.Task, data: Path) -> list[dict[str, Any]]:
        assert data == (seeds.DATA_SETS_SCRATCH / f"{task.seed}" if "--data-sets" in arguments else DATA_ROOT)
        if fails:
            raise KeyboardInterrupt
        ran.append(task)
        values = dict.fromkeys(seeds.COLUMNS[3:], 0.1 * task.seed)
        return [{"fraction": task.fraction, "seed": task.seed, "predictor": name} | values for name in PREDICTORS]

    def pool(workers: int, *, mp_context: object, initializer: object) -> ThreadPoolExecutor:
        assert initializer is seeds.end_with_parent
        return ThreadPoolExecutor(workers)

    monkeypatch.setattr(seeds, "run", made_up)
    monkeypatch.setattr(seeds, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(seeds, "load_params", lambda: load_params(ROOT / "params.yaml"))
    monkeypatch.setattr(seeds, "context_of", lambda params, paths: {"code": code})
    monkeypatch.setattr(seeds, "context_without_data", lambda params: {"code": code})
    monkeypatch.setattr(sys, "argv", ["seeds", *arguments])
    seeds.main()
    return ran


def test_a_worker_ends_when_the_study_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text(
        "import os, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from benchmarks.seeds import end_with_parent\n"
        "if __name__ == '__main__':\n"
        "    pool = ProcessPoolExecutor(1, mp_context=get_context('spawn'), initializer=end_with_parent)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    pool.submit(time.sleep, 600).result()\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [sys.executable, script], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    ) as study:
        assert study.stdout is not None
        worker = psutil.Process(int(study.stdout.readline()))
        study.kill()
    assert psutil.wait_procs([worker], timeout=60)[0] == [worker]


def rows_of(table: Path) -> list[tuple[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys((row["fraction"], row["seed"]) for row in csv.DictReader(file)))


def test_calls_add_to_what_earlier_ones_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(study(monkeypatch, "--seeds", "1", "2")) == 2
    assert study(monkeypatch, "--seeds", "1", "--fractions", "0.1x2", "1.0") == [
        seeds.Task(0.1, 1),
        seeds.Task(0.1, 2),
    ]
    assert rows_of(seeds.RESULTS / "table.csv") == [("0.1", "1"), ("0.1", "2"), ("1.0", "1"), ("1.0", "2")]
    curve = seeds.CURVE.read_text(encoding="utf-8").splitlines()
    assert len(curve) == 1 + 2 * len(PREDICTORS)
    assert curve[0].endswith(",splits")
    assert study(monkeypatch, "--seeds", "1", "2", "--student", "qmamba") == [seeds.Task(1.0, 1), seeds.Task(1.0, 2)]
    (seeds.RESULTS / "table.csv").unlink()
    assert study(monkeypatch, "--seeds", "2") == []
    assert len(rows_of(seeds.RESULTS / "table.csv")) == 4


def test_the_table_stays_until_there_are_rows_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study(monkeypatch, "--seeds", "1", "2")
    table = seeds.RESULTS / "table.csv"
    before = table.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        study(monkeypatch, "--seeds", "1", code="b", fails=True)
    assert table.read_bytes() == before
    with pytest.raises(SystemExit):
        study(monkeypatch, "--fractions", "0.1x0", code="b")
    assert table.read_bytes() == before
    study(monkeypatch, "--seeds", "1", code="b")
    assert rows_of(table) == [("1.0", "1")]
    assert (seeds.SCRATCH / "finished-older.json").exists()


@pytest.mark.parametrize("several", [[], ["--data-sets"]])
def test_another_pre_training_begins_the_study_anew(
    several: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seeds, "generate", lambda *_: None)
    shipped = tmp_path / "models/pretrained/internvideo2_tiny"
    shipped.mkdir(parents=True)
    for weights, runs in (("first", 1), ("first", 0), ("second", 1)):
        (shipped / "model.safetensors").write_text(weights)
        assert len(study(monkeypatch, "--seeds", "1", *several)) == runs
    assert "other values of first weights.internvideo2_tiny/model.safetensors;" in capsys.readouterr().err


def test_a_seed_may_draw_its_data_set_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[tuple[Path, dict[str, Any]]] = []
    monkeypatch.setattr(seeds, "generate", lambda params, data, options: made.append((data, options)))
    assert len(study(monkeypatch, "--data-sets", "--seeds", "1", "2", "--fractions", "0.1", "1.0")) == 4
    assert len(study(monkeypatch, "--data-sets", "--seeds", "2", "3")) == 1
    settings = load_params(ROOT / "params.yaml").prepare.options["embedded"]
    assert made == [(seeds.DATA_SETS_SCRATCH / f"{seed}", settings | {"seed": seed}) for seed in (1, 2, 3)]
    assert len(rows_of(seeds.DATA_SETS_RESULTS / "table.csv")) == 5
    assert seeds.CURVE.read_text(encoding="utf-8").splitlines()[0].endswith(",data_sets")
    assert not seeds.RESULTS.exists()


def test_another_student_is_named() -> None:
    params = load_params(ROOT / "params.yaml")
    assert seeds.with_student(params, None) == params
    assert seeds.with_student(params, "qmamba").distill.student == "qmamba"
    with pytest.raises(UnknownName, match="internvideo2"):
        seeds.with_student(params, "internvideo3")


def test_the_curve_has_means_and_paired_differences_per_fraction() -> None:
    gains = {"teacher": (0.1, 0.3), "student_alone": (0.0, 0.0)}
    rows = [
        {
            "fraction": fraction,
            "seed": seed,
            "predictor": predictor,
            "srcc": srcc + gains.get(predictor, (0.1, 0.1))[seed],
        }
        for fraction, seed, srcc in ((0.1, 0, 0.5), (0.1, 1, 0.6), (1.0, 0, 0.8), (1.0, 1, 0.8))
        for predictor in ("teacher", "student", "student_alone", "baseline", "hand_features")
    ]
    curve = seeds.few_label_curve(rows, "splits")
    assert len(curve) == 10
    teacher, student, alone = curve[:3]
    assert teacher["srcc"] == pytest.approx(0.75)
    assert (student["over_alone"], student["over_alone_low"]) == pytest.approx((0.1, 0.1))
    assert (alone["over_alone"], alone["over_alone_high"]) == (0.0, 0.0)
    # Two differences 0.1 from their mean: t(0.975, 1) · 0.1 √2 / √2.
    assert teacher["over_alone_high"] == pytest.approx(0.2 + 12.706 * 0.1, rel=1e-3)
    assert list(teacher) == [*seeds.CURVE_COLUMNS, "splits"]


def test_a_fraction_may_ask_for_more_seeds() -> None:
    assert [task.seed for task in seeds.tasks_of(["0.1x4"], [2, 3], controls=False)] == [2, 3, 4, 5]
    assert [(task.fraction, task.seed, task.controls) for task in seeds.tasks_of(["0.5"], [2], controls=True)] == [
        (0.5, 2, False),
        (0.5, 2, True),
    ]


def test_a_run_that_is_asked_for_twice_is_run_once() -> None:
    tasks = seeds.tasks_of(["0.1", "0.1x3", "0.10"], [1, 2], controls=False)
    assert [(task.fraction, task.seed) for task in tasks] == [(0.1, 1), (0.1, 2), (0.1, 3)]
