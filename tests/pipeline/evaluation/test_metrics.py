"""Metrics agree with scipy, and say what they do where a correlation is undefined."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.core import agreement
from pipeline.core.registry import find, names
from pipeline.evaluation.metrics.krcc import krcc
from pipeline.evaluation.metrics.plcc_logistic4 import plcc_logistic4
from pipeline.evaluation.metrics.plcc_raw import plcc_raw
from pipeline.evaluation.metrics.rmse_logistic4 import rmse_logistic4
from pipeline.evaluation.metrics.rmse_raw import rmse_raw
from pipeline.evaluation.metrics.shared.logistic import logistic4
from pipeline.evaluation.metrics.shared.table import METRICS, score_predictions

EVERY = [getattr(find(METRICS, name), name) for name in names(METRICS)]
finite = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 2))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=40))
def test_correlations_equal_scipy_on_any_pairs(pairs):
    x, y = np.array(pairs).T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(agreement.srcc(x, y))
        assert math.isnan(plcc_raw(x, y))
        return
    assert agreement.srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-9)
    assert plcc_raw(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-7)


def test_ties_and_two_samples():
    tied = np.array([1.0, 1.0, 2.0, 3.0, 3.0])
    mos = np.array([10.0, 20.0, 20.0, 30.0, 25.0])
    assert agreement.srcc(tied, mos) == pytest.approx(stats.spearmanr(tied, mos).statistic)
    assert krcc(tied, mos) == pytest.approx(stats.kendalltau(tied, mos).statistic)
    assert agreement.srcc(np.array([1.0, 2.0]), np.array([5.0, 4.0])) == pytest.approx(-1.0)


def test_constants_have_no_correlation_and_their_error_is_the_spread():
    mos = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0])
    constant = np.full(6, 3.0)
    for metric in (agreement.srcc, krcc, plcc_raw, plcc_logistic4):
        assert math.isnan(metric(constant, mos))
        assert math.isnan(metric(mos, constant))
    assert rmse_logistic4(constant, mos) == pytest.approx(mos.std())
    assert rmse_raw(constant, mos) == pytest.approx(math.sqrt(np.mean((mos - 3.0) ** 2)))


@pytest.mark.parametrize(
    ("prediction", "mos", "message"),
    [
        ([1.0, float("nan")], [1.0, 2.0], "1 of 2 predictions are not finite, the first at row 1"),
        ([1.0, 2.0], [float("inf"), 2.0], "1 of 2 scores are not finite"),
        ([1.0], [1.0], "at least 2"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], r"shape \(3,\) and scores of shape \(2,\)"),
    ],
)
@pytest.mark.parametrize("metric", [agreement.srcc, *EVERY], ids=lambda metric: metric.__name__)
def test_what_cannot_be_compared_is_refused(metric, prediction, mos, message):
    with pytest.raises(agreement.MetricError, match=message):
        metric(np.array(prediction), np.array(mos))


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.__name__)
def test_every_metric_of_the_folder_keeps_the_contract(metric):
    generator = np.random.default_rng(4)
    mos = generator.uniform(0, 100, 30)
    prediction = mos + generator.normal(scale=20, size=30)
    given = prediction.copy(), mos.copy()
    value = metric(prediction, mos)
    assert isinstance(value, float)
    assert np.isfinite(value)
    np.testing.assert_array_equal((prediction, mos), given)
    order = generator.permutation(30)
    assert metric(prediction[order], mos[order]) == pytest.approx(value, abs=1e-6)
    assert isinstance(metric(np.ones(30), mos), float)


def test_logistic_recovers_a_logistic_relation():
    x = np.linspace(-3, 3, 60)
    mos = 10 + 80 / (1 + np.exp(-(x - 0.4) / 0.7))
    assert plcc_raw(x, mos) < 0.99
    assert plcc_logistic4(x, mos) == pytest.approx(1.0, abs=1e-6)
    assert rmse_logistic4(x, mos) == pytest.approx(0.0, abs=1e-3)


def test_logistic_hardly_depends_on_the_unit_of_the_prediction():
    generator = np.random.default_rng(0)
    x = generator.normal(size=80)
    mos = 100 / (1 + np.exp(-2 * x)) + generator.normal(size=80)
    reference = plcc_logistic4(x, mos)
    for scale in (1e-3, 100.0, 1e5):
        assert plcc_logistic4(x * scale + 7, mos) == pytest.approx(reference, abs=1e-5)
    assert plcc_logistic4(-x, mos) == pytest.approx(reference, abs=1e-5)


@pytest.mark.parametrize("num", [2, 3, 4])
def test_too_few_points_for_a_logistic_use_a_line(num):
    x, mos = np.arange(num, dtype=float), np.arange(num, dtype=float) * 3 + 1
    np.testing.assert_allclose(logistic4(x, mos), mos)


def test_logistic_survives_steps_and_outliers():
    step = np.array([0.0] * 10 + [1.0] * 10)
    assert plcc_logistic4(step, step * 50) == pytest.approx(1.0)
    outlier = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 1e9])
    assert np.isfinite(logistic4(outlier, np.arange(6.0))).all()


def test_bootstrap_draws_contents_not_rows():
    contents = ["a"] * 5 + ["b"] * 5
    prediction = np.tile(np.arange(5.0), 2)
    mos = np.tile(np.arange(5.0), 2)
    interval = agreement.bootstrap_srcc(prediction, mos, contents, num_resamples=100, seed=1)
    assert (interval.value, interval.low, interval.high) == pytest.approx((1.0, 1.0, 1.0))
    mixed = np.concatenate([np.arange(5.0), -np.arange(5.0)])
    interval = agreement.bootstrap_srcc(mixed, mos, contents, num_resamples=200, seed=1)
    assert interval.low == pytest.approx(-1.0)
    assert interval.high == pytest.approx(1.0)


def test_bootstrap_repeats_by_seed_and_covers_the_value():
    generator = np.random.default_rng(3)
    mos = generator.uniform(0, 100, 60)
    prediction = mos + generator.normal(scale=30, size=60)
    contents = [f"c{index // 4}" for index in range(60)]
    first = agreement.bootstrap_srcc(prediction, mos, contents, num_resamples=300, seed=5)
    assert first == agreement.bootstrap_srcc(prediction, mos, contents, num_resamples=300, seed=5)
    assert first != agreement.bootstrap_srcc(prediction, mos, contents, num_resamples=300, seed=6)
    assert first.low < first.value < first.high
    with pytest.raises(agreement.MetricError, match="got 59 contents for 60 rows"):
        agreement.bootstrap_srcc(prediction, mos, contents[:-1], num_resamples=300, seed=5)


def test_paired_bootstrap_of_equal_predictors_is_zero():
    generator = np.random.default_rng(3)
    mos = generator.uniform(0, 100, 40)
    prediction = mos + generator.normal(scale=30, size=40)
    contents = [f"c{index // 4}" for index in range(40)]
    same = agreement.paired_bootstrap_srcc(prediction, prediction, mos, contents, num_resamples=100, seed=1)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    better = agreement.paired_bootstrap_srcc(mos, prediction, mos, contents, num_resamples=100, seed=1)
    assert 0.0 < better.low <= better.value <= better.high


def test_paired_difference_over_seeds_by_hand():
    interval = agreement.paired_difference([0.8, 0.9, 0.7], [0.7, 0.7, 0.6])
    half = stats.t.ppf(0.975, 2) * np.std([0.1, 0.2, 0.1], ddof=1) / math.sqrt(3)
    assert interval.value == pytest.approx(0.4 / 3)
    assert interval.high - interval.value == pytest.approx(half)
    assert math.isnan(agreement.paired_difference([0.8], [0.7]).low)
    with pytest.raises(agreement.MetricError, match="got 1 and 2 values"):
        agreement.paired_difference([0.8], [0.7, 0.6])


def test_scores_of_a_constant_are_numbers_that_json_knows():
    mos = np.arange(8.0)
    scores = score_predictions(np.ones(8), mos, ["a", "b"] * 4, num_resamples=100, seed=1)
    assert scores["srcc"] == scores["plcc_raw"] == 0.0
    assert scores["rmse_logistic4"] == pytest.approx(mos.std())
