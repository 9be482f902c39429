"""From rendered videos to a trained student to a score: the number that evaluate has, for the same file, to the bit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.evaluation.evaluate import calibrated
from pipeline.scoring.scorer import QualityScorer
from pipeline.students.data.rows import AlignedData, DataPaths
from pipeline.students.distillation.distill import distill
from pipeline.students.shared.model import load_student
from pipeline.students.shared.prediction import predict_videos
from tests.rendered_run import write_run
from tests.tiny_run import tiny_settings
from tests.videos import write_video


def textured(path: Path, number: int) -> int:
    write_video(path, num_frames=20 + number, texture=True, options={"crf": str(16 + 4 * number)})
    return 20 + number


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataPaths, Path]:
    root = tmp_path_factory.mktemp("run")
    paths = write_run(root, 8, textured)
    student = distill(tiny_settings(epochs=2), paths, device="cpu", scratch=root / "scratch").student
    student.save_pretrained(root / "model")
    return paths, root / "model"


def test_a_student_remembers_how_its_clips_are_made_and_where_its_embeddings_lie(run):
    _, folder = run
    config = load_student(folder).config
    assert config.view["view"]["policy"] == "fragments"
    assert config.num_views == 2
    assert (config.domain["num_videos"], config.domain["num_validation"]) == (6, 2)


def test_a_video_of_the_data_set_gets_the_score_that_evaluate_gives_it(run):
    paths, folder = run
    data, student = AlignedData(paths, "main"), load_student(folder)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = calibrated(
        student.calibrations(), data.videos, predict_videos(student, data, data.videos, description="test")
    )
    torch.set_num_threads(before)
    with QualityScorer.from_pretrained(folder) as scorer:
        found = [scorer.score(paths.videos.parent / entry.video.path) for entry in data.videos]
    assert [score.score for score in found] == expected.tolist()
    distances = np.array([score.domain_distance for score in found])
    in_validation = np.array([entry.label.split == "val" for entry in data.videos])
    assert not any(score.out_of_domain for score, inside in zip(found, in_validation, strict=True) if inside)
    assert np.isfinite(distances).all()
