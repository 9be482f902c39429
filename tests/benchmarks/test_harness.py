"""The harness: sides take turns, figures say whether a goal holds, results of other measures stay."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import measures, results
from benchmarks.__main__ import main, run
from benchmarks.harness import Figure, at_least, at_most, in_turn, timed, workshop

HERE = Path(measures.__file__).parent
HEAVY = ("repro", "one_more")


def figure(*ratios: float, goal=None) -> Figure:
    return Figure(what="ours", against="limit", ratios=ratios, goal=goal, detail={"rows_per_second": 12.3456})


def test_sides_take_turns_and_each_is_first_in_every_other_round() -> None:
    order: list[str] = []
    turns = in_turn(lambda: order.append("ours"), lambda: order.append("limit"), 2)
    assert order == ["limit", "ours", "limit", "ours", "ours", "limit"]
    assert len(turns.ours) == len(turns.limit) == len(turns.time_ratios()) == 2
    assert [ours * rate for ours, rate in zip(turns.time_ratios(), turns.rate_ratios(), strict=True)] == pytest.approx(
        [1.0, 1.0]
    )


def test_processor_seconds_are_also_those_of_child_processes_whether_they_ended_or_still_run() -> None:
    burn = "import time; input()\nwhile time.process_time() < 0.4: pass\nprint(flush=True); input()"
    command = [sys.executable, "-c", burn]
    assert timed(lambda: subprocess.run(command, input=b"\n\n", stdout=subprocess.DEVNULL, check=True))[1] >= 0.39
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
        to, from_ = child.stdin, child.stdout
        assert to
        assert from_
        assert timed(lambda: (to.write(b"\n"), from_.readline()))[1] >= 0.2
        to.write(b"\n")


def test_a_figure_is_its_median_with_its_spread_and_says_whether_its_goal_holds() -> None:
    told = figure(1.0, 3.0, 2.0, goal=at_most(1.5)).as_dict()
    assert (told["ratio"], told["low"], told["high"], told["rounds"]) == (2.0, 1.0, 3.0, 3)
    assert (told["goal"], told["holds"]) == ("≤ 1.5", False)
    assert figure(0.95, goal=at_least(0.9)).as_dict()["holds"] is True
    assert figure(0.95).as_dict()["holds"] is None


def test_a_workshop_is_a_project_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cache.build import Pool

    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    before = Path.cwd()
    with workshop(tmp_path / "inside"):
        assert Path.cwd() == tmp_path / "inside"
        assert Pool.locate().root.is_relative_to(tmp_path)
    assert Path.cwd() == before
    assert str(Pool.locate().root).startswith("/elsewhere")


def test_results_of_measures_that_were_not_run_stay(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    entry = results.describe([figure(2.0, goal=at_most(1.5))], seconds=61.0, others=0.0)
    results.merge(path, {"verify": entry})
    busy = results.describe([figure(1.0)], seconds=1.0, others=1.9)
    there = results.merge(path, {"start_up": busy})
    assert list(there) == ["start_up", "verify"]
    assert json.loads(path.read_text(encoding="utf-8")) == there
    page = results.table(there, ("verify", "start_up"))
    assert "| verify | ours | limit | 2 | 2 … 2 | ≤ 1.5 | **missed** | rows per second 12.35 |" in page
    assert "**Taken while other programs used the processors** (how many, just before each): start_up (1.9)." in page
    assert "All together 1.0 minutes" in page
    there = results.merge(path, {"growth": results.describe([figure(1.0)], seconds=120.0, others=0.0)})
    page = results.table(there, ("verify", "start_up", "growth"))
    assert "All together 1.0 minutes" in page
    assert "Minutes of what runs on request only: growth 2.0." in page


def test_every_file_is_a_measure_that_is_listed_and_says_its_limit() -> None:
    files = {path.stem for path in HERE.glob("*.py")} - {"__init__"}
    assert files == {*measures.ORDER, *measures.ON_REQUEST}
    for name in files:
        module = importlib.import_module(f"benchmarks.measures.{name}")
        assert callable(module.figures)
        assert module.LIMIT


def test_an_unknown_measure_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verfy"]) == 2
    assert "did you mean 'verify'?" in capsys.readouterr().err


def test_gpu_measures_stand_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--gpu", "--small"]) == 2
    assert "stands alone" in capsys.readouterr().err


def test_a_small_run_writes_nothing(tmp_path: Path) -> None:
    assert main(["reading", "--small", "--rounds", "1", "--output", str(tmp_path)]) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in (*measures.ORDER, *measures.ON_REQUEST) if name not in HEAVY])
def test_every_measure_runs_and_its_figures_are_numbers(name: str) -> None:
    entry = run(name, small=True, rounds=1)
    assert entry["figures"]
    assert all(figure["ratio"] > 0 for figure in entry["figures"])


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_measures_of_whole_stages_run(name: str) -> None:
    assert run(name, small=True, rounds=1)["figures"][0]["ratio"] > 0
