"""Rate-quality figures: which contents have one, what stands over what, and how many lines are drawn."""

import re
from dataclasses import replace

import pytest

from pipeline.reporting.panels.rate_quality import (
    MAX_CONTENTS,
    has_rates,
    rate_lines,
    rate_quality,
    rate_quality_contents,
)
from pipeline.reporting.panels.shared.axes import codec_markers, round_places, score_limits
from pipeline.reporting.predictions import Prediction

CRFS = (20, 30, 40, 50)


def encodes(content: str = "c", codecs: tuple[str, ...] = ("av1", "h264"), *, error: float = 1.0) -> list[Prediction]:
    """Four levels of each codec; rate and score fall with the level."""
    return [
        Prediction(
            video_id=f"{content}_{codec}_{crf}",
            mos=100.0 - crf,
            student=100.0 - crf + error,
            teacher=None,
            content=content,
            codec=codec,
            level=f"crf{crf}",
            rate=4000.0 / crf + 7 * number,
        )
        for number, codec in enumerate(codecs)
        for crf in CRFS
    ]


def dashed(svg: str) -> int:
    return len(re.findall(r"stroke-dasharray: [\d.]+,[\d.]+", svg))


def test_every_codec_has_a_true_and_a_predicted_line_over_the_rate():
    rows = encodes()
    svg = rate_quality("r", rows, codec_markers(rows), score_limits(rows))
    assert dashed(svg) == 2
    assert ">kbit/s<" in svg
    assert ">100<" in svg
    lines = rate_lines(rows)
    assert list(lines) == ["av1", "h264"]
    assert [row.level for _, row in lines["av1"]] == ["crf50", "crf40", "crf30", "crf20"]
    assert [rate for rate, _ in lines["av1"]] == sorted(4000.0 / crf for crf in CRFS)


def test_where_a_rate_is_unknown_levels_take_its_place():
    rows = encodes()
    rows[3] = replace(rows[3], rate=None)
    assert has_rates(encodes())
    assert not has_rates(rows)
    svg = rate_quality("r", rows, codec_markers(rows), score_limits(rows))
    assert ">level<" in svg
    assert [level for level, _ in rate_lines(rows)["h264"]] == [20.0, 30.0, 40.0, 50.0]


def test_a_codec_of_one_encode_has_no_line():
    rows = [*encodes(codecs=("h264",)), encodes(codecs=("vp9",))[0]]
    assert list(rate_lines(rows)) == ["h264"]
    assert dashed(rate_quality("r", rows, codec_markers(rows), score_limits(rows))) == 1


def test_contents_come_from_the_best_predicted_to_the_worst_and_only_those_with_a_curve():
    rows = [*encodes("good", error=1), *encodes("bad", error=-9), *encodes("middle", error=4), encodes("single")[0]]
    assert rate_quality_contents(rows) == (["good", "middle", "bad"], 3)
    many = [row for number in range(40) for row in encodes(f"c{number:02d}", error=number)]
    chosen, count = rate_quality_contents(many)
    assert (len(chosen), count, chosen[0], chosen[-1]) == (MAX_CONTENTS, 40, "c00", "c39")


@pytest.mark.parametrize(("low", "high"), [(30.0, 45.0), (52.0, 190.0), (20.0, 500.0), (8.0, 9000.0)])
def test_a_rate_axis_has_round_numbers(low, high):
    rows = [replace(encodes()[0], rate=low), replace(encodes()[1], rate=high, level="21")]
    svg = rate_quality("r", rows, codec_markers(rows), score_limits(rows))
    ticks = [float(text) for text in re.findall(r">([\d.]+)<", svg.split("kbit/s")[0])]
    assert 2 <= sum(low <= tick <= high for tick in ticks) <= 7
    assert all(float(f"{tick:.1e}") == tick for tick in ticks), "two digits at most"


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
