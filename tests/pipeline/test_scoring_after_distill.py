"""From rendered videos to a trained student to a score: the number that evaluate has, for the same file, to the bit."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from cache import Pool
from pipeline.aligned import AlignedData, DataPaths
from pipeline.evaluation import calibrated
from pipeline.manifest import Label, ScoreScale, Video, write_labels, write_scales, write_videos
from pipeline.params import RuntimeSettings, load_params
from pipeline.prediction import predict_videos
from pipeline.rendering import render
from pipeline.scoring import QualityScorer
from pipeline.students import load_student
from pipeline.training import distil
from tests.scoring_models import POLICY
from tests.tiny_run import PARAMS, tiny_settings, write_targets
from tests.videos import write_video

SPLITS = ("train", "train", "train", "val")


def write_run(root: Path) -> DataPaths:
    """Eight real videos, rendered, with targets."""
    data = root / "data"
    (data / "videos").mkdir(parents=True)
    videos, labels = [], []
    for number in range(8):
        path = f"videos/v{number}.mp4"
        write_video(data / path, num_frames=20 + number, texture=True, options={"crf": str(16 + 4 * number)})
        videos.append(
            Video(
                video_id=f"v{number}",
                path=path,
                sha256=hashlib.sha256((data / path).read_bytes()).hexdigest(),
                dataset="x",
                width=96,
                height=64,
                fps=25.0,
                num_frames=20 + number,
                pix_fmt="yuv420p",
            )
        )
        labels.append(
            Label(
                video_id=f"v{number}",
                mos=90.0 - 10 * number,
                content=f"c{number}",
                codec="h264",
                level=str(number),
                split=SPLITS[number % 4],
                labelled=True,
            )
        )
    names = {name: data / f"{name}.csv" for name in ("videos", "labels")}
    paths = DataPaths(**names, scales=data / "dataset.json", clips=data / "clips.zarr", targets=data / "targets.zarr")
    write_videos(paths.videos, videos)
    write_labels(paths.labels, labels)
    write_scales(paths.scales, {"x": ScoreScale(score_name="MOS", low=0.0, high=100.0)})
    render(
        load_params(PARAMS).render.model_copy(update={"views_per_video": 2}),
        {"main": POLICY},
        videos,
        data_root=data,
        store=paths.clips,
        runtime=RuntimeSettings.parse(load_params(PARAMS).runtime.model_dump() | {"workers": 1}, "runtime"),
        pool=Pool(root / "pool"),
    )
    write_targets(paths, kinds=("embedding_normed", "logits"))
    return paths


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataPaths, Path]:
    root = tmp_path_factory.mktemp("run")
    paths = write_run(root)
    student = distil(tiny_settings(epochs=2), paths, device="cpu", scratch=root / "scratch").student
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
