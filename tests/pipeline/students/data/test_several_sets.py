"""One student on several data sets, each with its own scale: what is compared, and what becomes of the scales."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.core.agreement import srcc
from pipeline.core.manifest import ScoreScale, read_labels, read_videos, write_labels, write_scales, write_videos
from pipeline.core.registry import find
from pipeline.students.data.batch import Batch
from pipeline.students.data.rows import AlignedData
from pipeline.students.distillation.distill import distill
from pipeline.students.distillation.projection import SetScales, with_projectors
from pipeline.students.shared.output import StudentOutput
from pipeline.students.shared.prediction import calibrated, predict_videos
from tests.pipeline.students.test_students import make_student
from tests.tiny_run import tiny_settings

STUDENTS = {
    "internvideo2": {"embed_dim": 32, "depth": 2, "num_heads": 2, "pool_num_heads": 2},
    "qmamba": {"width": 16, "depths": [1, 1], "patch_size": 4, "window": 3},
}


@pytest.fixture(scope="module")
def two_sets(tiny_paths, tmp_path_factory):
    """The tiny run's contents, every other one moved to a set whose scores lie at 1 … 5, and lower on it."""
    folder = tmp_path_factory.mktemp("sets")
    labels = {label.video_id: label for label in read_labels(tiny_paths.labels)}
    second = {label.content for label in labels.values() if int(label.content[-1]) % 2}
    videos = [
        replace(video, dataset="five" if labels[video.video_id].content in second else "hundred")
        for video in read_videos(tiny_paths.videos)
    ]
    write_videos(folder / "videos.csv", videos)
    moved = [
        replace(label, mos=1.0 + 2.0 * label.mos / 100.0)
        if label.content in second and label.mos is not None
        else label
        for label in labels.values()
    ]
    write_labels(folder / "labels.csv", moved)
    scales = {"hundred": ScoreScale(score_name="MOS", low=0.0, high=100.0)}
    scales["five"] = ScoreScale(score_name="ACR", low=1.0, high=5.0)
    write_scales(folder / "dataset.json", scales)
    return replace(
        tiny_paths, videos=folder / "videos.csv", labels=folder / "labels.csv", scales=folder / "dataset.json"
    )


def test_every_row_knows_its_set(two_sets):
    data = AlignedData(two_sets, "main")
    assert data.datasets == ["five", "hundred"]
    for entry in data.videos:
        batch = data.batch(entry.rows)
        assert batch.dataset.tolist() == [data.datasets.index(entry.video.dataset)] * len(entry.rows)


def test_scores_of_two_sets_are_no_pair():
    columns = {"clips": torch.zeros(4, 1), "labelled": torch.ones(4, dtype=torch.bool)}
    mos, dataset = torch.tensor([0.1, 0.2, 0.8, 0.9]), torch.tensor([0, 0, 1, 1])
    prediction = StudentOutput(score=torch.tensor([0.5, 0.6, 0.1, 0.2]), embedding=torch.zeros(4, 1))
    for name in ("ranking", "plcc"):
        loss = find("students.losses", name).loss
        assert loss(prediction, Batch(mos=mos, dataset=dataset, **columns)).item() == pytest.approx(0.0, abs=1e-5)
        assert loss(prediction, Batch(mos=mos, **columns)).item() > 0.05


def test_a_sets_line_rises_and_begins_as_nothing():
    scales, score, dataset = SetScales(2), torch.tensor([0.2, 0.4]), torch.tensor([0, 1])
    assert torch.equal(scales(score, dataset), score)
    with torch.no_grad():
        scales.log_slope.copy_(torch.tensor([0.0, -30.0]))
        scales.offset.copy_(torch.tensor([1.0, 2.0]))
    assert scales(score, dataset).tolist() == pytest.approx([1.2, 2.0])
    assert (scales.log_slope.exp() > 0).all()


def test_one_set_has_no_line(tiny_paths):
    assert with_projectors(make_student("internvideo2"), [], {}, 1).set_scales is None
    assert len(AlignedData(tiny_paths, "main").datasets) == 1


@pytest.mark.parametrize("name", STUDENTS)
def test_one_student_scores_each_set_on_its_own_scale(two_sets, tmp_path, name):
    settings = tiny_settings(epochs=30, student=name, options={name: STUDENTS[name]})
    result = distill(settings, two_sets, device="cpu", scratch=tmp_path)
    student, data = result.student, AlignedData(two_sets, "main")
    assert not any("set_scales" in name for name in student.state_dict())
    assert set(student.config.calibrations) == {"five", "hundred"}
    entries = data.split("val", labelled=True)
    raw = predict_videos(student, data, entries, description="test")
    values = calibrated(student.calibrations(), entries, raw)
    for name, scale in (("five", (1.0, 5.0)), ("hundred", (0.0, 100.0))):
        rows = [row for row, entry in enumerate(entries) if entry.video.dataset == name]
        own = np.array([entries[row].label.mos for row in rows])
        length = scale[1] - scale[0]
        assert (values[rows] > scale[0] - 0.3 * length).all()
        assert (values[rows] < scale[1] + 0.3 * length).all()
        assert abs(values[rows].mean() - own.mean()) < 0.15 * length
        assert srcc(values[rows], own) > 0.5
