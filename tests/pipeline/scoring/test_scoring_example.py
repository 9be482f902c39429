"""The example of ``docs/scoring.md``: an ONNX file scored with numpy, PyAV and ONNX Runtime alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.rendering.policy import ViewPolicy
from pipeline.scoring.export import PARITY, export_onnx
from pipeline.scoring.scorer import QualityScorer, ScoringOptions
from tests.imports import ROOT
from tests.scoring_models import CALIBRATION, make_student
from tests.videos import write_video

DOCUMENT = ROOT / "docs/scoring.md"
ALONE = """
import runpy, sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "pipeline", "cache", "transformers", "decord", "scipy"):
            raise ModuleNotFoundError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuses())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    [code] = [block for block in blocks if block.startswith("# score_onnx.py")]
    assert len(code.splitlines()) <= 42
    path = tmp_path_factory.mktemp("example") / "score_onnx.py"
    path.write_text(code)
    return path


def test_gives_the_score_of_the_centred_view(example, tmp_path):
    student = make_student()
    export_onnx(student, tmp_path / "student.onnx")
    videos = [
        write_video(tmp_path / "a.mp4", num_frames=30, texture=True),
        write_video(tmp_path / "b.webm", num_frames=41, codec="libvpx-vp9", texture=True),
        write_video(tmp_path / "c.mkv", num_frames=25, width=130, height=98, matrix=1, texture=True),
    ]
    with QualityScorer.from_pretrained(tmp_path / "student.onnx", ScoringOptions(num_views=1)) as scorer:
        for video in videos:
            command = [sys.executable, "-c", ALONE, str(example), str(tmp_path / "student.onnx"), str(video)]
            shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            scale = CALIBRATION.scale_high - CALIBRATION.scale_low
            assert float(shown) == pytest.approx(scorer.score(video).score, abs=PARITY * scale)


def test_the_frames_of_the_example_are_those_of_the_uniform_rule():
    import numpy as np

    from pipeline.rendering.views import draw_view

    policy = ViewPolicy(policy="crop", sampling="uniform", num_frames=8, size=32)
    for num_frames in range(8, 400, 7):
        step = (num_frames - 1) / 8
        wanted = np.minimum(np.round(step * np.arange(8)).astype(int) + int(step / 2), num_frames - 1)
        view = draw_view(policy, num_frames=num_frames, height=64, width=64, digest="0" * 64, view=0)
        assert tuple(wanted) == view.frames
