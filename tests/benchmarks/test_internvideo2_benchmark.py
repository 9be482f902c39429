"""The forward's benchmark runs, and the 1B model fits where it must."""

import json
import subprocess
import sys

import pytest

from benchmarks.internvideo2 import main
from tests.imports import ROOT


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, float]:
    assert main([*arguments, "--threads", "1"]) == 0
    result: dict[str, float] = json.loads(capsys.readouterr().out)
    return result


def test_the_smallest_runs(capsys: pytest.CaptureFixture[str]) -> None:
    result = measured(capsys, "--variant", "S14", "--num-frames", "1")
    assert result["tflop"] == pytest.approx(0.0124, abs=0.001)
    assert result["parameters"] == 23_352_976 - 7 * 256 * 384
    assert result["seconds"] > 0


def test_a_checkpoint_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--checkpoint", "nowhere.pth"]) == 1
    assert "nowhere.pth: no such file" in capsys.readouterr().err


@pytest.mark.slow
def test_1b_in_float32_fits_in_8_gib() -> None:
    """In a process of its own: the peak is the process's."""
    command = [sys.executable, "-m", "benchmarks.internvideo2"]
    result = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    assert result["peak_gib"] < 8
    assert result["tflop"] == pytest.approx(5.101, rel=0.01)
