"""An exported student says what torch says, on real videos, for every student."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner, Result

from pipeline.cli import _application
from pipeline.export import PARITY, ExportError, deviation, export_onnx
from pipeline.predictors import ModelError, OnnxPredictor, TorchPredictor
from pipeline.registry import names
from pipeline.scoring import QualityScorer
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


@pytest.mark.parametrize("name", names("students"))
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
def test_the_same_student_gives_the_same_graph(exported, tmp_path):
    # Not the same bytes: the metadata holds this student's domain, whose directions come from a decomposition that may
    # differ in its last bit when it is fitted again.
    export_onnx(make_student(), tmp_path / "again.onnx")
    one, two = onnx.load(exported), onnx.load(tmp_path / "again.onnx")
    assert [node.op_type for node in one.graph.node] == [node.op_type for node in two.graph.node]
    assert not any(str(tmp_path.parent) in entry.value for entry in one.metadata_props)
    assert [entry.key for entry in one.metadata_props] == [entry.key for entry in two.metadata_props]
    for first, second in zip(one.graph.initializer, two.graph.initializer, strict=True):
        arrays = [onnx.numpy_helper.to_array(constant) for constant in (first, second)]
        np.testing.assert_allclose(*arrays, rtol=1e-6, err_msg=first.name)


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
