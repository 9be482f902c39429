"""The encoder example: the highest CRF that is good enough."""

import json

import pytest

from benchmarks import choose_crf
from benchmarks.choose_crf import Step, choose
from pipeline.synthesis.planes import Shape
from tests.scoring_models import save_student


def steps(*scores: float) -> list[Step]:
    return [
        Step(crf=20 + number, size_bytes=100, score=score, low=0, high=100, truth=50)
        for number, score in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("scores", "crf"),
    [((90, 80, 60), 21), ((90, 80, 75), 22), ((60, 50, 40), None), ((90, 60, 80), 20), ((70.0, 69.9), 20)],
)
def test_stops_before_the_first_that_is_too_bad(scores, crf):
    chosen = choose(steps(*scores), 70.0)
    assert (chosen.crf if chosen else None) == crf


def test_encodes_scores_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choose_crf, "SHAPE", Shape(width=96, height=64, num_frames=8))
    monkeypatch.setattr(choose_crf, "_STEPS", 3)
    arguments = ["--model", str(save_student(tmp_path / "model")), "--plot", str(tmp_path / "p.png")]
    status = choose_crf.main([*arguments, "--threshold", "-100", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (status, found["chosen"]) == (0, found["steps"][-1]["crf"])
    assert [step["size_bytes"] for step in found["steps"]] == sorted(
        (step["size_bytes"] for step in found["steps"]), reverse=True
    )
    assert found["steps"][0]["truth"] > found["steps"][-1]["truth"]
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert choose_crf.main([*arguments, "--threshold", "1000"]) == 1
    assert "no CRF" in capsys.readouterr().err
    assert choose_crf.main([str(tmp_path / "none.mp4"), "--model", str(tmp_path / "model")]) == 1
