"""Calibration keeps the order of videos whatever it is fitted on."""

import json

import numpy as np
import pytest

from pipeline.calibration import Calibration, CalibrationError, fit_calibration

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
