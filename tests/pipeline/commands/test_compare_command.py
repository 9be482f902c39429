"""``teachonce compare``."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.commands.cli import _application
from pipeline.commands.compare import compare_scores
from pipeline.scoring.scorer import QualityScorer
from tests.scoring_models import CALIBRATION, save_student
from tests.videos import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compare")
    save_student(root / "model")
    for number, crf in enumerate((20, 48)):
        write_video(root / f"v{number}.mp4", num_frames=50, texture=True, options={"crf": str(crf)})
    return root


def compare(folder: Path, *arguments: object) -> Result:
    words = ["compare", *map(str, arguments), "--model", str(folder / "model")]
    return CliRunner().invoke(_application(words), words)


def test_says_the_difference_of_the_scores(folder):
    one, other = folder / "v0.mp4", folder / "v1.mp4"
    found = json.loads(compare(folder, one, other, "--json").stdout)
    with QualityScorer.from_pretrained(folder / "model") as scorer:
        a, b = scorer.score(one), scorer.score(other)
    assert (found["a"], found["b"], found["difference"]) == (a.score, b.score, b.score - a.score)
    assert found["low"] < found["difference"] < found["high"]
    assert found["num_windows"] == 2
    text = compare(folder, one, other).stdout
    assert f"b - a = {found['difference']:+.1f}" in text
    assert found["verdict"] in text


def test_the_verdict_needs_more_than_the_residuals_explain(folder):
    with QualityScorer.from_pretrained(folder / "model") as scorer:
        a = scorer.score(folder / "v0.mp4")
    reach = CALIBRATION.interval_factor * 2**0.5 * CALIBRATION.residual_std
    for difference, verdict in ((0.9, "no clear difference"), (1.1, "b is better"), (-1.1, "a is better")):
        b = replace(a, score=a.score + difference * reach)
        assert compare_scores(a, b, CALIBRATION).verdict == verdict
    unsure = compare_scores(a, replace(a, score=a.score + 50.0), replace(CALIBRATION, interval_factor=None))
    assert (unsure.verdict, unsure.low, unsure.high) == ("no clear difference", -100.0, 100.0)
    longer = replace(a, curve=a.curve[:1])
    assert compare_scores(a, longer, CALIBRATION).windows_better is None


def test_the_exit_status_can_guard_a_build(folder):
    scores = json.loads(compare(folder, folder / "v0.mp4", folder / "v1.mp4", "--json").stdout)
    worse_last = (
        [folder / "v0.mp4", folder / "v1.mp4"] if scores["difference"] < 0 else [folder / "v1.mp4", folder / "v0.mp4"]
    )
    assert compare(folder, *worse_last, "--tolerance", 0).exit_code == 1
    assert compare(folder, *worse_last[::-1], "--tolerance", 0).exit_code == 0
    assert compare(folder, *worse_last, "--tolerance", abs(scores["difference"]) + 1).exit_code == 0


def test_a_video_that_cannot_be_scored_is_an_error(folder, tmp_path):
    result = compare(folder, folder / "v0.mp4", tmp_path / "none.mp4")
    assert "none.mp4: cannot read the file" in str(result.exception)
