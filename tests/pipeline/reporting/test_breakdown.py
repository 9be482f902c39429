import numpy as np
import pytest

from pipeline.evaluation.metrics.shared.logistic import logistic4
from pipeline.reporting.panels import breakdown
from pipeline.reporting.panels.calibration import reliability
from pipeline.reporting.panels.scatter import fitted_logistic
from pipeline.reporting.panels.worst import worst
from pipeline.reporting.predictions import Prediction


def prediction(name, mos, student, *, codec="h264", level="", content="c", dataset="d"):
    return Prediction(
        video_id=name,
        mos=mos,
        student=student,
        teacher=None,
        codec=codec,
        level=level,
        content=content,
        dataset=dataset,
    )


@pytest.mark.parametrize(
    ("level", "number"),
    [("27", 27.0), ("crf27.5", 27.5), ("QP 22", 22.0), ("-3", -3.0), ("", None), ("high", None), ("1080p30", None)],
)
def test_level_number(level, number):
    assert breakdown.level_number(level) == number


def test_by_codec_counts_bias_and_error():
    rows = [prediction(str(index), 10.0 * index, 10.0 * index + 2, codec="av1") for index in range(6)]
    rows += [prediction("x", 50.0, 47.0, codec="")]
    av1, unknown = breakdown.by_codec(rows)
    assert (av1.codec, av1.num_videos, av1.bias, av1.rmse, av1.srcc) == ("av1", 6, 2.0, 2.0, pytest.approx(1.0))
    assert (unknown.codec, unknown.num_videos, unknown.rmse, unknown.srcc) == ("unknown", 1, 3.0, None)


def test_few_levels_are_each_a_group():
    rows = [prediction(f"{level}-{index}", level, level, level=str(level)) for level in (20, 30) for index in range(3)]
    assert [(group.levels, group.middle, group.num_videos) for group in breakdown.by_level(rows)] == [
        ("20", 20.0, 3),
        ("30", 30.0, 3),
    ]


def test_many_levels_are_banded_and_no_video_is_lost():
    rows = [prediction(str(index), 50.0, 40.0, level=f"{20 + index}") for index in range(40)]
    groups = breakdown.by_level(rows)
    assert [group.num_videos for group in groups] == [10, 10, 10, 10]
    assert groups[0].levels == "20 to 29"
    assert groups[0].srcc is None


def test_levels_in_words_are_sorted_by_name():
    rows = [prediction(name, 1.0, 1.0, level=name) for name in ("low", "high")]
    assert [(group.levels, group.middle) for group in breakdown.by_level(rows)] == [("high", None), ("low", None)]


def test_videos_without_a_level_have_no_level_group():
    assert breakdown.by_level([prediction("a", 1.0, 1.0)]) == []


def test_reliability_covers_every_video_once_in_order_of_prediction():
    generator = np.random.default_rng(1)
    rows = [prediction(str(index), value, value) for index, value in enumerate(generator.uniform(0, 100, 57))]
    bins = reliability(rows)
    assert sum(part.num_videos for part in bins) == 57
    assert [part.mean_prediction for part in bins] == sorted(part.mean_prediction for part in bins)
    assert all(part.low <= part.mean_mos <= part.high for part in bins)
    assert all(part.mean_mos == pytest.approx(part.mean_prediction) for part in bins)


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_reliability_of_a_few_videos(count):
    bins = reliability([prediction(str(index), index, index) for index in range(count)])
    assert len(bins) == max(1, count // 5)


def test_worst_is_by_absolute_error_then_name():
    rows = [prediction("b", 50, 40), prediction("a", 50, 60), prediction("c", 50, 51)]
    assert [row.video_id for row in worst(rows, 2)] == ["a", "b"]
    assert worst(rows, 0) == []


def test_worst_compares_errors_as_shares_of_their_scales():
    rows = [prediction("a", 50, 60), prediction("b", 2, 4, dataset="five points")]
    assert [row.video_id for row in worst(rows, 2)] == ["a", "b"]
    lengths = {"d": 100.0, "five points": 4.0}
    assert [row.video_id for row in worst(rows, 2, lengths.__getitem__)] == ["b", "a"]


def test_the_drawn_logistic_is_that_of_the_metrics():
    generator = np.random.default_rng(2)
    x = generator.uniform(0, 1, 40)
    y = 100 / (1 + np.exp(-8 * (x - 0.5))) + generator.normal(0, 3, 40)
    drawn_x, drawn_y = fitted_logistic(x, y)
    assert (np.diff(drawn_x) > 0).all()
    assert (np.diff(drawn_y) >= 0).all()
    np.testing.assert_array_equal(np.interp(x, drawn_x, drawn_y), logistic4(x, y))
