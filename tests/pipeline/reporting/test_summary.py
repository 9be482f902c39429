import math
from dataclasses import replace

import pytest

from pipeline.core.agreement import Interval
from pipeline.reporting.panels import summary
from pipeline.reporting.panels.shared import wording
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run


def run_with(student, crf_codec, **others):
    def scores(value):
        return {"srcc": value[0], "srcc_low": value[1], "srcc_high": value[2]}

    metrics = {"student": scores(student), "crf_codec": scores(crf_codec), **others}
    rows = [Prediction(video_id=name, mos=1.0, student=1.0, teacher=None, content="c") for name in ("a", "b")]
    return Run(metrics=metrics, predictions=rows)


@pytest.mark.parametrize(
    ("student", "verdict"),
    [
        ((0.9, 0.85, 0.95), "the student sees more than that"),
        ((0.72, 0.62, 0.82), "on this test split the two cannot be told apart"),
        ((0.5, 0.4, 0.6), "the better predictor, so the student’s score alone proves little"),
        ((0.5, None, None), "without intervals"),
    ],
)
def test_nothing_is_claimed_that_the_intervals_do_not_part(student, verdict):
    assert verdict in summary.paragraph(run_with(student, (0.7, 0.65, 0.75)))


def test_a_paired_difference_tells_more_than_overlapping_intervals():
    run = run_with((0.72, 0.62, 0.82), (0.7, 0.65, 0.75))
    paired = replace(run, differences={"crf_codec": Interval(value=0.02, low=0.01, high=0.03)})
    assert "the student sees more than that" in summary.paragraph(paired)
    assert wording.difference(paired.differences["crf_codec"]) == "+0.020 (0.010 to 0.030)"


def test_paragraph_names_counts_score_and_interval():
    text = summary.paragraph(run_with((0.9, 0.85, 0.95), (0.7, 0.65, 0.75), teacher={"srcc": 0.95}))
    assert text.startswith("On 2 test videos of 1 content that training never saw, the student ranks videos by MOS")
    assert "0.90 (95\N{NO-BREAK SPACE}% interval 0.85 to 0.95)" in text
    assert "The teacher it learnt from reaches 0.95." in text


def test_predictors_stand_in_the_order_of_the_page():
    metrics = {name: {"srcc": 0.0} for name in ("zeta", "crf_codec", "alpha", "teacher", "student")}
    assert list(wording.ordered(metrics)) == ["student", "teacher", "crf_codec", "alpha", "zeta"]
    assert wording.title_of("vmaf_neg") == "vmaf neg"


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "0.123"), (-0.5, "−0.500"), (-0.0001, "0.000"), (None, "–"), (math.nan, "–")]
)
def test_decimal(value, text):
    assert wording.decimal(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(960, "960"), (5810000, "5.81 M"), (2.5e9, "2.5 G"), (12000, "12 k"), (0.0123, "0.0123"), (math.inf, "–")],
)
def test_amount(value, text):
    assert wording.amount(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (52.3, "52 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (59.7, "1 min 00 s")],
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text
