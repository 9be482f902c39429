"""``teachonce data list``, ``show``, ``check <set>`` and ``challenge``; and the table of data sets in ``docs/``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.commands.data import app
from pipeline.commands.shared import catalogue
from pipeline.core.manifest import Label
from pipeline.preparation.datasets.shared.facts import Facts
from tests.imports import ROOT
from tests.pipeline.preparation.datasets.published import EXAMPLES, write
from tests.pipeline.preparation.datasets.workbook import write_workbook

PUBLISHED = catalogue.published()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with KVQ in it."""
    monkeypatch.chdir(tmp_path)
    EXAMPLES["kvq"](Path("data/raw/kvq"))
    return tmp_path


def test_the_table_in_the_documents_is_what_the_adapters_state() -> None:
    text = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    begin, end = "<!-- begin: teachonce data list --markdown -->\n", "\n<!-- end -->"
    assert text.partition(begin)[2].partition(end)[0] == catalogue.markdown(), (
        "docs/datasets.md is not what `teachonce data list --markdown` prints; put its output between the marks"
    )


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_facts_are_whole(name: str) -> None:
    facts: Facts = PUBLISHED[name].FACTS
    assert facts.checked, name
    assert facts.tree, name
    assert facts.paper == "unknown" or facts.paper.startswith("https://")
    assert next(iter(facts.scores)) == "overall"
    assert not set(facts.scores) & set(Label.__dataclass_fields__), (
        "a score may not be called as a column of labels.csv"
    )
    for word in (facts.title, facts.home, *facts.tree.splitlines()):
        assert word in "\n".join(catalogue.shown(name))


def test_every_set_is_listed_with_its_size_and_licence() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(catalogue.modules())
    assert any(line.split()[:3] == ["lsvq", "39072", "videos"] and "LIVE notice" in line for line in lines)
    listed = json.loads(run("list", "--json").stdout)
    assert {entry["name"]: entry["videos"] for entry in listed}["maxwell"] == 4543


def test_a_set_is_shown_with_the_tree_that_it_must_have() -> None:
    shown = run("show", "kvq").stdout
    for part in ("data/raw/kvq/", "train_data.csv, truth.csv (validation)", "train_video/0001.mp4", "dvc add"):
        assert part in shown
    assert "columns" in run("show", "csv").stdout
    wrong = run("show", "kqv")
    assert (wrong.exit_code, "did you mean 'kvq'?" in wrong.stderr) == (2, True)


def test_what_is_there_and_what_is_not_before_anything_is_opened(laid_out: Path) -> None:
    (laid_out / "data/raw/kvq/train_video/0003.mp4").unlink()
    (laid_out / "data/raw/kvq/train_video/0004.mp4").write_text("no video, but nobody looks")
    done = run("check", "kvq")
    assert done.exit_code == 1
    for part in (
        "  train_data.csv: 15 rows; commas between columns, UTF-8\n",
        "18 videos are named, 17 are there, 1 are missing\n",
        "missing:\n  train_video/0003.mp4\n",
        "no problems\n",
    ):
        assert part in done.stdout, done.stdout
    write(laid_out / "params.yaml", ["prepare:", "  options:", "    kvq: {missing: leave_out}"])
    assert run("check", "kvq").exit_code == 0
    found = json.loads(run("check", "kvq", "--json").stdout)
    assert (found["rows"], found["missing"]) == (18, ["train_video/0003.mp4"])


def test_wrong_names_and_options_are_wrong_use(laid_out: Path) -> None:
    assert run("check", "embedded").exit_code == 2
    write(laid_out / "params.yaml", ["prepare:", "  options:", "    kvq: {mising: leave_out}"])
    refused = run("check", "kvq")
    assert (refused.exit_code, "did you mean 'missing'?" in refused.stderr) == (2, True)
    write(laid_out / "params.yaml", ["prepare: ["])
    assert run("check", "kvq").exit_code == 2


def test_the_challenges_score(tmp_path: Path) -> None:
    """By hand: ranks agree but for one swap, and one of two pairs of each kind is right."""
    rows = ["video_id,mos,student", "val/0001,1,1", "val/0002,2,2", "val/0003,3,4", "val/0004,4,3"]
    write(tmp_path / "predictions.csv", rows)
    header = ["video1", "video2", "rank"]
    sheets = {
        "nonsource": [header, ["0001.mp4", "0004.mp4", 2], ["0002.mp4", "0001.mp4", 2]],
        "source": [header, ["0003.mp4", "0004.mp4", 1], ["0003.mp4", "0002.mp4", 2]],
    }
    write_workbook(tmp_path / "rank-pair-val.xlsx", sheets)
    found = json.loads(run("challenge", tmp_path / "predictions.csv", tmp_path / "rank-pair-val.xlsx", "--json").stdout)
    assert found == {
        "score": pytest.approx(0.45 * 0.8 + 0.45 * 0.8 + 0.05 * 0.5 + 0.05 * 0.5),
        "srcc": pytest.approx(0.8),
        "plcc": pytest.approx(0.8),
        "nonsource": 0.5,
        "source": 0.5,
    }
    write_workbook(tmp_path / "rank-pair-val.xlsx", {**sheets, "source": [header, ["0009.mp4", "0004.mp4", 1]]})
    refused = run("challenge", tmp_path / "predictions.csv", tmp_path / "rank-pair-val.xlsx")
    assert "got no prediction for ['0009']" in str(refused.exception)
