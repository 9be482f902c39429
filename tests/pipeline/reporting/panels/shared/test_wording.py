import math

import pytest

from pipeline.reporting.panels.shared import wording
from pipeline.reporting.panels.shared.axes import round_places


def test_predictors_stand_in_the_order_of_the_page():
    metrics = {name: {"srcc": 0.0} for name in ("zeta", "crf_codec", "alpha", "teacher", "student")}
    assert list(wording.ordered(metrics)) == ["student", "teacher", "crf_codec", "alpha", "zeta"]
    assert wording.title_of("vmaf_neg") == "vmaf neg"


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "0.123"), (-0.5, "−0.500"), (-0.0001, "0.000"), (None, "–"), (math.nan, "–")]
)
def test_decimal(value, text):
    assert wording.decimal(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.02, "+0.020"), (-0.02, "−0.020"), (0.0001, "0.000"), (0.0, "0.000")])
def test_signed(value, text):
    assert wording.signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(960, "960"), (5810000, "5.81 M"), (2.5e9, "2.5 G"), (12000, "12 k"), (0.0123, "0.0123"), (math.inf, "–")],
)
def test_amount(value, text):
    assert wording.amount(value).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (52.3, "52 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (59.7, "1 min 00 s")],
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ("abc", "a, b and c")])
def test_listed(words, text):
    assert wording.listed(words) == text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (20.0, 500.0, [20, 50, 100, 200, 500]),
        (5.0, 4e5, [10, 100, 1000, 10000, 100000]),
        (52.0, 190.0, [50, 70, 100, 150, 200]),
        (101.0, 102.5, [101, 102]),
        (50.0, 50.0, [50]),
    ],
)
def test_round_places_are_the_roundest_of_which_two_lie_inside(low, high, expected):
    assert round_places(low, high) == expected
