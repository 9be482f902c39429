import math

import pytest

from pipeline.reporting.panels.shared import wording
from pipeline.reporting.panels.shared.axes import round_places


def test_predictors_stand_in_the_order_of_the_page():
    metrics = {name: {"srcc": 0.0} for name in ("zeta", "crf_codec", "alpha", "teacher", "student")}
    assert list(wording.ordered(metrics)) == ["student", "teacher", "crf_codec", "alpha", "zeta"]
    assert wording.title_of("vmaf_neg") == "vmaf neg"


@pytest.mark.parametrize(
    ("word", "texts"),
    [
        (wording.decimal, {0.1234: "0.123", -0.5: "−0.500", -0.0001: "0.000", None: "–", math.nan: "–"}),
        (wording.signed, {0.02: "+0.020", -0.02: "−0.020", 0.0001: "0.000", 0.0: "0.000"}),
        (wording.amount, {960: "960", 5810000: "5.81 M", 2.5e9: "2.5 G", 12000: "12 k", 0.0123: "0.0123"}),
        (wording.duration, {0.42: "0.4 s", 52.3: "52 s", 185: "3 min 05 s", 7800: "2 h 10 min", 59.7: "1 min 00 s"}),
        (wording.listed, {(): "", ("a",): "a", ("a", "b"): "a and b", ("a", "b", "c"): "a, b and c"}),
    ],
)
def test_words_for_numbers(word, texts):
    assert {value: word(value).replace("\N{NO-BREAK SPACE}", " ") for value in texts} == texts


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
