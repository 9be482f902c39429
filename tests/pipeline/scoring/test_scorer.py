"""A video's score: the same whenever and beside whatever it is asked for, and the one that evaluate would give."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.core.errors import PipelineError
from pipeline.core.manifest import ScoreScale
from pipeline.scoring.predictors import TorchPredictor
from pipeline.scoring.record import ModelError, ScoringRecord
from pipeline.scoring.scorer import QualityScorer, ScoringError, ScoringOptions
from pipeline.scoring.scores import VideoScore, harmonic_mean
from pipeline.scoring.segments import read_segments
from pipeline.students.shared.calibration import view_variance
from pipeline.video.decoder import DecodeOptions
from pipeline.workers.tasks import Limits
from tests.scoring_models import CALIBRATION, NUM_VIEWS, make_student, save_student
from tests.videos import write_raw, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a few videos."""
    root = tmp_path_factory.mktemp("scoring")
    save_student(root / "model")
    for number, frames in enumerate((20, 60, 90)):
        write_video(root / f"v{number}.mp4", num_frames=frames, texture=True, options={"crf": str(20 + 12 * number)})
    write_video(root / "vp9.webm", num_frames=30, codec="libvpx-vp9", texture=True)
    (root / "broken.mp4").write_bytes(b"no video")
    return root


def scorer_of(folder: Path, **options: object) -> QualityScorer:
    return QualityScorer.from_pretrained(folder / "model", ScoringOptions(**options))


def test_a_score_is_what_the_student_says_of_the_rendered_views(folder):
    with scorer_of(folder) as scorer:
        result = scorer.score(folder / "v1.mp4")
        [segment] = scorer.read(folder / "v1.mp4")
    student = make_student()
    with torch.no_grad():
        raw = student(torch.from_numpy(segment.views)).score.double().mean().item()
    assert result.score == float(CALIBRATION(np.asarray(raw)))
    assert len(result.view_scores) == NUM_VIEWS
    assert (result.width, result.height, result.num_frames, result.seconds) == (96, 64, 60, 2.4)
    assert (result.dataset, result.score_name, result.scale_low, result.scale_high) == ("x", "MOS", 0.0, 100.0)
    assert result.low <= result.score <= result.high


def test_the_same_file_has_the_same_score_to_the_bit_whatever_is_beside_it(folder):
    paths = [folder / name for name in ("v2.mp4", "broken.mp4", "v0.mp4", "vp9.webm", "v1.mp4")]
    with scorer_of(folder) as scorer:
        together = dict(scorer.score_many(paths))
        backwards = dict(scorer.score_many(paths[::-1]))
    for path in paths:
        if path.name == "broken.mp4":
            assert isinstance(together[path], ScoringError)
            continue
        with scorer_of(folder) as scorer:
            alone = scorer.score(path)
        assert asdict(alone) == asdict(together[path]) == asdict(backwards[path])


def test_the_name_of_a_file_does_not_matter_but_its_bytes_do(folder, tmp_path):
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((folder / "v1.mp4").read_bytes())
    with scorer_of(folder) as scorer:
        one, same, other = (scorer.score(path) for path in (folder / "v1.mp4", copy, folder / "v2.mp4"))
    assert asdict(one) == asdict(same)
    assert one.score != other.score


def test_a_long_video_is_the_mean_of_its_segments(folder):
    with scorer_of(folder, segment_seconds=1.0, window_seconds=0.5) as scorer:
        result = scorer.score(folder / "v2.mp4")
        clips = list(scorer.read(folder / "v2.mp4"))
    assert [(part.start_seconds, part.stop_seconds) for part in result.segments] == [(0.0, 1.2), (1.2, 2.4), (2.4, 3.6)]
    assert result.score == pytest.approx(np.mean([part.score for part in result.segments]))
    assert result.view_scores == pytest.approx(np.mean([part.view_scores for part in result.segments], axis=0))
    values = [point.score for point in result.curve]
    assert len(values) == sum(len(segment.windows) for segment in clips)
    assert (result.mean, result.percentile_5) == (pytest.approx(np.mean(values)), np.percentile(values, 5))
    assert result.percentile_5 <= result.mean


def test_the_interval_is_the_calibrations_of_score_and_views(folder):
    with scorer_of(folder) as scorer:
        result = scorer.score(folder / "v1.mp4")
    assert (result.low, result.high) == CALIBRATION.interval(result.score, view_variance(np.array(result.view_scores)))
    with scorer_of(folder, segment_seconds=1.0) as scorer:
        result = scorer.score(folder / "v2.mp4")
    lengths = np.array([part.stop_seconds - part.start_seconds for part in result.segments])
    variances = [view_variance(np.array(part.view_scores)) for part in result.segments]
    expected = CALIBRATION.interval(result.score, float((lengths / lengths.sum()) ** 2 @ variances))
    assert (result.low, result.high) == pytest.approx(expected)


PERCENT = ScoreScale(score_name="MOS", low=0.0, high=100.0)


def test_harmonic_pooling_is_vmafs():
    values = np.array([80.0, 20.0, 60.0])
    assert harmonic_mean(values, PERCENT) == pytest.approx(1 / np.mean(1 / (values + 1)) - 1)
    assert harmonic_mean(values / 25 + 1, ScoreScale(score_name="MOS", low=1.0, high=5.0)) == pytest.approx(
        1 + harmonic_mean(values, PERCENT) / 25
    )
    assert harmonic_mean(values, PERCENT) < values.mean()
    assert harmonic_mean(np.array([-3.0, -1.0]), PERCENT) == 0.0


def test_what_resembles_no_training_video_is_out_of_domain(folder):
    with scorer_of(folder) as scorer:
        domain = scorer.record.domain
        near = scorer.score(folder / "v1.mp4")
        scorer.record = replace(scorer.record, domain=replace(domain, threshold=near.domain_distance / 2))
        far = scorer.score(folder / "v1.mp4")
        scorer.record = replace(scorer.record, domain=None)
        unknown = scorer.score(folder / "v1.mp4")
    assert far.out_of_domain is True
    assert near.out_of_domain == (near.domain_distance > domain.threshold)
    assert (unknown.out_of_domain, unknown.domain_distance) == (None, None)


def test_each_video_has_its_own_error_and_the_others_go_on(folder, tmp_path):
    paths = [tmp_path / "missing.mp4", folder / "v0.mp4", folder / "broken.mp4", tmp_path, folder / "v1.mp4"]
    with scorer_of(folder) as scorer:
        results = [result for _, result in scorer.score_many(paths)]
        assert [isinstance(result, VideoScore) for result in results] == [False, True, False, False, True]
        assert "No such file" in str(results[0])
        assert "not a regular file" in str(results[3])
        with pytest.raises(ScoringError, match=r"broken\.mp4: not a readable video"):
            scorer.score(folder / "broken.mp4")


def test_a_video_that_takes_too_long_is_lost_alone(folder):
    with scorer_of(folder, limits=Limits(seconds=0.0)) as scorer, pytest.raises(ScoringError, match="took longer"):
        scorer.score(folder / "v0.mp4")


def test_a_reader_that_leaves_early_leaves_nothing_behind(folder):
    with scorer_of(folder) as scorer:
        for _, _ in scorer.score_many([folder / "v0.mp4", folder / "v2.mp4"]):
            break
        assert scorer.score(folder / "v1.mp4").num_frames == 60


def test_raw_video_is_scored_as_its_size_is_told(folder, tmp_path):
    named, bare = write_raw(tmp_path / "x_96x64_25fps.yuv", num_frames=30), tmp_path / "bare.yuv"
    bare.write_bytes(named.read_bytes())
    with scorer_of(folder) as scorer:
        expected = scorer.score(named)
        with pytest.raises(ScoringError, match="size"):
            scorer.score(bare)
    with scorer_of(folder, decoding=DecodeOptions(raw_width=96, raw_height=64, raw_fps=25.0)) as scorer:
        assert asdict(scorer.score(bare)) == asdict(expected)


def test_views_and_scale_can_be_chosen(folder):
    with scorer_of(folder, num_views=1) as scorer:
        result = scorer.score(folder / "v1.mp4")
        assert (len(result.view_scores), result.view_scores[0]) == (1, pytest.approx(result.score))
    with pytest.raises(ModelError, match="no calibration for the data set 'y'; known: x"):
        scorer_of(folder, dataset="y")
    student = make_student()
    student.config.calibrations["y"] = replace(CALIBRATION, dataset="y").as_dict()
    with pytest.raises(ModelError, match="knows the scales of x, y; say which"):
        QualityScorer(TorchPredictor(student, threads=1))
    assert QualityScorer(TorchPredictor(student, threads=1), ScoringOptions(dataset="y")).calibration.dataset == "y"


def test_a_student_whose_clips_other_code_made_is_refused():
    config = make_student().config.to_dict()
    ScoringRecord.of(config)
    for view, message in (
        ({**config["view"], "resampling": 99}, "other code made \\(resampling differ"),
        ({"policy": "fragments"}, "does not say how its clips are made"),
        ({**config["view"], "view": {"speed": 3}}, "view policy cannot be read"),
    ):
        with pytest.raises(ModelError, match=message):
            ScoringRecord.of({**config, "view": view})


def test_a_folder_without_a_student_is_an_error_for_users(tmp_path):
    with pytest.raises(PipelineError, match="cannot load a student"):
        QualityScorer.from_pretrained(tmp_path)


def test_memory_holds_one_segment_at_a_time(folder):
    with scorer_of(folder, segment_seconds=0.4, window_seconds=0.2) as scorer:
        task = scorer._task(folder / "v2.mp4")
    _, *segments = read_segments(task)
    assert len(segments) == 9
    assert {len(segment.views) + len(segment.window_clips) for segment in segments} == {NUM_VIEWS + 2}
