"""An exported student says what torch says, on real videos, for every student."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner, Result

from pipeline.commands.cli import _application
from pipeline.core.registry import names
from pipeline.scoring.export import PARITY, ExportError, deviation, export_onnx
from pipeline.scoring.predictors import OnnxPredictor, TorchPredictor
from pipeline.scoring.record import ModelError
from pipeline.scoring.scorer import QualityScorer
from tests.imports import ROOT
from tests.pipeline.students.test_students import TINY
from tests.scoring_models import CALIBRATION, NUM_VIEWS, make_student, save_student
from tests.videos import write_video

SCALE = CALIBRATION.scale_high - CALIBRATION.scale_low


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("export")
    return [
        write_video(root / f"v{number}.mp4", num_frames=30, texture=True, options={"crf": str(18 + 10 * number)})
        for number in range(3)
    ]


@pytest.fixture(scope="module")
def by_command(tmp_path_factory: pytest.TempPathFactory, videos: list[Path]) -> tuple[Path, Result]:
    root = tmp_path_factory.mktemp("onnx")
    words = ["export", str(root / "s.onnx"), "--model", str(save_student(root / "model")), "--json"]
    for video in videos[:2]:
        words += ["--check", str(video)]
    return root / "s.onnx", CliRunner().invoke(_application(words), words)


@pytest.fixture(scope="module")
def exported(by_command: tuple[Path, Result]) -> Path:
    return by_command[0]


def every_student() -> list[object]:
    """All students of the folder; tracing some of them takes its time."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=[] if name == "internvideo2" else slow) for name in names("students")]


@pytest.mark.parametrize("name", every_student())
def test_scores_of_videos_agree_with_torch(name, videos, tmp_path):
    student = make_student(name, TINY[name])
    path = tmp_path / "student.onnx"
    export_onnx(student, path)
    by_torch = QualityScorer(TorchPredictor(student, threads=1))
    with by_torch, QualityScorer.from_pretrained(path) as scorer:
        for video in videos:
            expected, found = by_torch.score(video), scorer.score(video)
            assert abs(found.score - expected.score) <= PARITY * SCALE
            assert found.view_scores == pytest.approx(expected.view_scores, abs=PARITY * SCALE)
            assert [point.score for point in found.curve] == pytest.approx(
                [point.score for point in expected.curve], abs=PARITY * SCALE
            )
            assert found.domain_distance == pytest.approx(expected.domain_distance, rel=1e-3)
            assert asdict(scorer.score(video)) == asdict(found)
    assert deviation(student, path).largest <= PARITY


@pytest.mark.parametrize("size", [1, 2, 5])
def test_takes_any_number_of_clips(exported, size):
    student = make_student()
    clips = np.random.default_rng(size).integers(0, 256, (size, *student.config.clip_shape), np.uint8)
    found, expected = OnnxPredictor(exported, threads=1)(clips), TorchPredictor(student, threads=1)(clips)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-3)


def test_the_metadata_says_how_to_make_clips_and_what_scores_mean(exported):
    metadata = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    config = json.loads(metadata["teachonce"])
    assert config["calibrations"]["x"] == CALIBRATION.as_dict()
    assert config["view"]["view"]["policy"] == "fragments"
    assert (config["num_views"], config["clip_shape"]) == (NUM_VIEWS, [4, 56, 56, 3])


@pytest.mark.slow
def test_the_same_folder_gives_the_same_bytes_in_any_process(exported, tmp_path):
    """A folder, not the student it was saved from: saving adds what the student is called and its dtype."""
    model = save_student(tmp_path / "elsewhere")
    code = "import sys; from pipeline.commands.cli import main; main()"
    command = [sys.executable, "-c", code, "export", str(tmp_path / "s.onnx"), "--model", str(model)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "s.onnx").read_bytes() == exported.read_bytes()


def test_eight_bits_are_smaller_and_their_loss_is_measured(exported, tmp_path):
    student, path = make_student(), tmp_path / "int8.onnx"
    export_onnx(student, path, int8=True)
    assert path.stat().st_size < exported.stat().st_size
    assert any("MatMulInteger" in node.op_type for node in onnx.load(path).graph.node)
    loss = deviation(student, path)
    assert 0 < loss.mean <= loss.largest < 0.1
    assert deviation(student, exported).largest < PARITY


def test_files_that_are_no_exported_student_are_refused(tmp_path, exported):
    with pytest.raises(ExportError, match=r"ends in \.onnx"):
        export_onnx(make_student(), tmp_path / "student.pt")
    with pytest.raises(ModelError, match="cannot read"):
        OnnxPredictor(tmp_path / "missing.onnx", threads=1)
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="not an ONNX model that can be run"):
        OnnxPredictor(tmp_path / "bad.onnx", threads=1)
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(ModelError, match="has no 'teachonce' in its metadata"):
        OnnxPredictor(tmp_path / "bare.onnx", threads=1)


def test_the_command_checks_what_it_wrote_on_videos(by_command):
    path, result = by_command
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["bytes"] == path.stat().st_size
    assert found["num_clips"] == 2 * NUM_VIEWS
    assert found["largest"] <= PARITY


@pytest.mark.parametrize("record", ["x{", "[1]", "[" * 100_000])
def test_a_record_that_is_none_is_refused_in_words(exported, tmp_path, record):
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"teachonce": record})
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match="in its metadata is no JSON object; write it anew with `teachonce export`"):
        OnnxPredictor(tmp_path / "odd.onnx", threads=1)
