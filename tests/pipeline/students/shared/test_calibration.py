"""Calibration keeps the order of videos whatever it is fitted on."""

import json

import numpy as np
import pytest

from pipeline.students.shared.calibration import Calibration, CalibrationError, fit_calibration, view_variance

SCALE = {"dataset": "embedded", "score_name": "MOS", "scale_low": 0.0, "scale_high": 100.0}


@pytest.mark.parametrize("case", ["logistic", "line", "noise", "reversed", "constant", "two"])
def test_is_strictly_increasing_everywhere(case):
    generator = np.random.default_rng(1)
    score = generator.normal(0.5, 0.2, 40)
    mos = {
        "logistic": 100 / (1 + np.exp(-8 * (score - 0.4))),
        "line": 20 + 60 * score,
        "noise": generator.uniform(0, 100, 40),
        "reversed": 90 - 80 * score,
        "constant": np.full(40, 50.0),
        "two": 100 * score,
    }[case]
    size = 2 if case == "two" else 40
    calibration = fit_calibration(score[:size], mos[:size], **SCALE)
    assert calibration.slope > 0
    x = np.linspace(-30, 30, 4001)
    assert (np.diff(calibration(x)) > 0).all()


def test_recovers_a_logistic_relation():
    score = np.random.default_rng(2).normal(0.5, 0.2, 60)
    mos = 5 + 90 / (1 + np.exp(-7 * (score - 0.45)))
    calibration = fit_calibration(score, mos, **SCALE)
    assert np.abs(calibration(score) - mos).max() < 0.5
    assert calibration.residual_std < 0.5
    assert calibration.num_videos == 60


def test_does_not_depend_on_the_unit_of_the_score():
    generator = np.random.default_rng(3)
    score = generator.normal(0, 1, 50)
    mos = 50 + 20 * np.tanh(score) + generator.normal(size=50)
    one, other = fit_calibration(score, mos, **SCALE), fit_calibration(score * 1000 + 7, mos, **SCALE)
    np.testing.assert_allclose(one(score), other(score * 1000 + 7), atol=1e-3)


def test_goes_through_json_unchanged():
    calibration = fit_calibration(np.array([0.1, 0.5, 0.9]), np.array([20.0, 60.0, 70.0]), **SCALE)
    assert Calibration(**json.loads(json.dumps(calibration.as_dict()))) == calibration


@pytest.mark.parametrize("score", [[0.5], [0.5, float("nan")]])
def test_what_cannot_be_fitted_is_refused(score):
    with pytest.raises(CalibrationError, match="at least 2, all finite"):
        fit_calibration(np.array(score), np.full(len(score), 50.0), **SCALE)


def simulated(num_contents: int, seed: int, *, heavy: bool) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Four videos of each content, three views of each: errors of contents, of videos, and of views."""
    generator = np.random.default_rng(seed)

    def errors(*shape: int) -> np.ndarray:
        return generator.standard_t(3, shape) if heavy else generator.normal(size=shape)

    quality = generator.uniform(-2, 2, (num_contents, 4))
    raw = quality + 0.3 * errors(num_contents, 1) + 0.3 * errors(num_contents, 4)
    views = raw[..., None] + 0.1 * generator.normal(size=(num_contents, 4, 3))
    mos = 100 / (1 + np.exp(-quality))
    names = [f"c{number // 4}" for number in range(4 * num_contents)]
    return list(views.reshape(-1, 3)), mos.ravel(), names


@pytest.mark.parametrize("heavy", [False, True])
def test_intervals_hold_the_opinion_score_as_often_as_they_say(heavy):
    shares = []
    for seed in range(30):
        views, mos, names = simulated(16, seed, heavy=heavy)
        calibration = fit_calibration(views, mos, contents=names, **SCALE)
        found, truth, _ = simulated(100, 1000 + seed, heavy=heavy)
        ends = [
            calibration.interval(float(calibration(scores.mean())), view_variance(calibration(scores)))
            for scores in found
        ]
        shares.append(np.mean([low <= score <= high for (low, high), score in zip(ends, truth, strict=True)]))
        assert all(low <= high for low, high in ends)
    assert 0.94 < np.mean(shares) < 0.98


def test_too_few_videos_for_an_interval_give_the_whole_scale():
    views, mos, names = simulated(4, 1, heavy=False)
    calibration = fit_calibration(views, mos, contents=names, **SCALE)
    assert (calibration.interval_factor, calibration.num_videos, calibration.num_contents) == (None, 16, 4)
    assert calibration.interval(60.0, 1.0) == (0.0, 100.0)
    assert calibration.interval(101.0, 1.0) == (0.0, 101.0)
    assert fit_calibration(*simulated(5, 1, heavy=False)[:2], **SCALE).interval_factor is not None


def test_residuals_come_from_curves_that_did_not_see_the_content():
    """A content whose scores are odd is found odd, though a curve that saw it would bend towards it."""
    score = np.repeat([0.0, 1.0, 2.0, 3.0, 10.0], 4) + 0.01 * np.arange(20)
    mos = np.where(score > 5, 5.0, 30 + 15 * score)
    names = [f"{value:.0f}" for value in np.repeat([0, 1, 2, 3, 10], 4)]
    by_content = fit_calibration(score, mos, contents=names, **SCALE)
    by_video = fit_calibration(score, mos, **SCALE)
    assert by_content.residual_std > by_video.residual_std
    assert (by_content.num_contents, by_video.num_contents) == (5, 20)


def test_a_video_whose_views_disagree_has_a_wider_interval():
    calibration = fit_calibration(*simulated(16, 1, heavy=False)[:2], **SCALE)
    (low, high), (lower, higher) = calibration.interval(50.0, 0.0), calibration.interval(50.0, 40.0)
    assert lower < low < 50.0 < high < higher
    assert view_variance(np.array([40.0, 60.0, 50.0])) == pytest.approx(100.0 / 3)
    assert view_variance(np.array([40.0])) == 0.0
