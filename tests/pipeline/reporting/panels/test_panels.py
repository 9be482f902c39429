"""What the panels compute: groups, bins, the worst, pairs of encodes, verdicts, studies."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.agreement import Interval
from pipeline.core.files import file_digest
from pipeline.evaluation.metrics.shared.logistic import logistic4
from pipeline.reporting import ReportError, load_run
from pipeline.reporting.panels import (
    breakdown,
    calibration,
    comparison,
    cost,
    identity,
    rate_quality,
    scatter,
    studies,
    summary,
    training,
    worst,
)
from pipeline.reporting.panels.shared.axes import codec_markers, score_limits
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run
from pipeline.reporting.settings import ReportSettings
from tests.pipeline.reporting.conftest import TEACHER, write_json

SETTINGS = ReportSettings(title="t", worst=3)


def prediction(name, mos=50.0, student=50.0, **known):
    return Prediction(**{"video_id": name, "mos": mos, "student": student, "teacher": None, "codec": "h264", **known})


def encodes(content="c", codecs=("av1", "h264"), error=1.0):
    """Four levels of each codec; rate and score fall with the level."""
    return [
        prediction(
            f"{content}_{codec}_{crf}",
            100.0 - crf,
            100.0 - crf + error,
            content=content,
            codec=codec,
            level=f"crf{crf}",
            rate=4000.0 / crf + 7 * number,
        )
        for number, codec in enumerate(codecs)
        for crf in (20, 30, 40, 50)
    ]


def run_of(*rows, student=(0.7, 0.6, 0.8), **others):
    metrics = {"student": dict(zip(("srcc", "srcc_low", "srcc_high"), student, strict=True))}
    return Run(metrics=metrics, predictions=list(rows) or [prediction("a")], **others)


@pytest.mark.parametrize(
    ("level", "number"),
    [("27", 27.0), ("crf27.5", 27.5), ("QP 22", 22.0), ("-3", -3.0), ("", None), ("high", None), ("1080p30", None)],
)
def test_level_number(level, number):
    assert prediction("a", level=level).level_number == number


def test_by_codec_counts_bias_and_error():
    rows = [prediction(str(index), 10.0 * index, 10.0 * index + 2, codec="av1") for index in range(6)]
    av1, unknown = breakdown.by_codec([*rows, prediction("x", 50.0, 47.0, codec="")])
    assert (av1.codec, len(av1.rows), av1.bias, av1.rmse, av1.srcc) == ("av1", 6, 2.0, 2.0, pytest.approx(1.0))
    assert (unknown.codec, len(unknown.rows), unknown.rmse) == ("unknown", 1, 3.0)
    assert math.isnan(unknown.srcc)
    sentence = breakdown.section(run_of(*rows, prediction("x", 50.0, 47.0, codec="")), SETTINGS).conclusion
    assert sentence == (
        "The student errs most on unknown, typically 3.00 points off (RMSE), on average 3.00 too low, "
        "and least on av1, 2.00 off."
    )


def test_levels_are_groups_within_their_codec_and_many_are_banded():
    few = [prediction(f"{level}-{index}", level=str(level)) for level in (20, 30) for index in range(3)]
    assert [(group.levels, group.middle, len(group.rows)) for group in breakdown.by_level(few)] == [
        ("20", 20.0, 3),
        ("30", 30.0, 3),
    ]
    many = breakdown.by_level([prediction(str(index), level=f"{20 + index}") for index in range(40)])
    assert [len(group.rows) for group in many] == [10, 10, 10, 10]
    assert many[0].levels == "20 to 29"
    words = breakdown.by_level([prediction(name, level=name) for name in ("low", "high")])
    assert [(group.levels, group.middle) for group in words] == [("high", None), ("low", None)]
    assert ">high<" in breakdown.level_errors("b", words, codec_markers([prediction("a")]))
    assert breakdown.by_level([prediction("a")]) == []
    assert breakdown.section(run_of(prediction("a", codec="")), SETTINGS) is None


@pytest.mark.parametrize("count", [1, 4, 5, 11, 57])
def test_reliability_covers_every_video_once_in_order_of_prediction(count):
    values = np.random.default_rng(1).uniform(0, 100, count)
    rows = [prediction(str(index), value + 1, value) for index, value in enumerate(values)]
    said, true, spread = calibration.reliability(rows).T
    assert len(said) == min(10, max(1, count // 5))
    assert (np.diff(said) > 0).all()
    assert (spread >= 0).all()
    np.testing.assert_allclose(true, said + 1)
    if count % len(said) == 0:
        assert said.mean() == pytest.approx(values.mean())


def test_intervals_are_counted():
    rows = [prediction(str(index), 50.0, low=low, high=low + 20) for index, low in enumerate((40, 45, 51, 50))]
    assert calibration.section(run_of(*rows), SETTINGS).conclusion == (
        "The interval that comes with a score holds the true one in 3 of 4 test videos, 75\N{NO-BREAK SPACE}% where "
        "95\N{NO-BREAK SPACE}% is promised, and is on average 20.00 points wide."
    )


def test_the_worst_are_the_worst_of_each_content_as_shares_of_their_scales(finished_run):
    rows = [
        prediction("a", 50, 60, content="x"),
        prediction("b", 50, 38, content="x"),
        prediction("c", 50, 51, content="y"),
        prediction("d", 2, 4, dataset="five"),
    ]
    run = run_of(*rows)
    assert [row.video_id for row in worst.worst(run, 2)] == ["b", "d"]
    five = replace(load_run(finished_run).scales["embedded"], low=1.0, high=5.0)
    run = replace(run, scales={"five": five, "": replace(five, low=0.0, high=100.0)})
    assert [row.video_id for row in worst.worst(run, 3)] == ["d", "b", "c"]
    assert worst.section(run, SETTINGS.model_copy(update={"worst": 0})) is None


def test_the_drawn_logistic_is_that_of_the_metrics():
    generator = np.random.default_rng(2)
    x = generator.uniform(0, 1, 40)
    y = 100 / (1 + np.exp(-8 * (x - 0.5))) + generator.normal(0, 3, 40)
    drawn_x, drawn_y = scatter.fitted_logistic(x, y)
    assert (np.diff(drawn_x) > 0).all()
    assert (np.diff(drawn_y) >= 0).all()
    np.testing.assert_array_equal(np.interp(x, drawn_x, drawn_y), logistic4(x, y))


def test_every_codec_has_a_true_and_a_predicted_line_over_the_rate():
    rows = [*encodes(), prediction("one", codec="vp9", content="c", rate=9.0)]
    lines = rate_quality.lines_by_content(rows, rated=True)["c"]
    assert list(lines) == ["av1", "h264"]
    assert [row.level for _, row in lines["av1"]] == ["crf50", "crf40", "crf30", "crf20"]
    svg = rate_quality.rate_quality("r", "c", lines, codec_markers(rows), score_limits(rows), rated=True)
    assert len(re.findall(r"stroke-dasharray: [\d.]+,[\d.]+", svg)) == 2
    assert ">kbit/s<" in svg
    assert ">100<" in svg


def test_contents_come_from_the_best_predicted_to_the_worst_and_only_those_with_a_curve():
    rows = [*encodes("good"), *encodes("bad", error=-9), *encodes("fair", error=4), encodes("single")[0]]
    assert list(rate_quality.lines_by_content(rows, rated=True)) == ["good", "fair", "bad"]
    many = run_of(*(row for number in range(40) for row in encodes(f"c{number:02d}", error=number)))
    shown = re.findall("<h4>(.*?)</h4>", rate_quality.section(many, SETTINGS).body)
    assert (len(shown), shown[0], shown[-1]) == (rate_quality.MAX_CONTENTS, "c00", "c39")
    assert rate_quality.section(run_of(prediction("a")), SETTINGS) is None


def test_where_a_rate_is_unknown_levels_take_its_place_and_pairs_are_counted():
    rows = encodes(codecs=("h264",))
    rows[0] = replace(rows[0], student=65.0)
    assert rate_quality.section(run_of(*rows), SETTINGS).conclusion == (
        "Of two encodes of one content by one codec, the student prefers the truly better one in "
        "83\N{NO-BREAK SPACE}% of 6 pairs; taking the one of higher rate is right in 100\N{NO-BREAK SPACE}%."
    )
    rows[3] = replace(rows[3], rate=None)
    shown = rate_quality.section(run_of(*rows), SETTINGS)
    assert ">level<" in shown.body
    assert shown.conclusion.endswith("of 6 pairs.")


@pytest.mark.parametrize(
    ("low", "high", "sentence", "beside"),
    [
        (0.01, 0.03, "On this test split the student ranks better than CRF + codec.", "above its teacher’s 0.70"),
        (-0.1, -0.05, "On this test split the student ranks worse than CRF + codec.", "below its teacher’s 0.70"),
        (-0.1, 0.1, "On this test split the student is not separable from CRF + codec.", "cannot separate"),
    ],
)
def test_nothing_is_claimed_that_the_paired_difference_does_not_hold(low, high, sentence, beside):
    lead = Interval(value=0.02, low=low, high=high)
    run = run_of(differences={"crf_codec": lead, "teacher": lead})
    run.metrics.update({"crf_codec": {"srcc": 0.7}, "teacher": {"srcc": 0.7}})
    assert beside in summary.section(run, SETTINGS).conclusion
    assert comparison.section(replace(run, differences={"crf_codec": lead}), SETTINGS).conclusion == sentence


def test_the_best_without_a_teacher_is_named():
    run = run_of()
    run.metrics.update({name: {"srcc": 0.9} for name in ("teacher", "baseline", "student_alone", "vmaf_neg")})
    body = summary.section(run, SETTINGS).body
    assert "best without a teacher: vmaf neg" in body
    assert "ridge" not in body


def test_losses_and_correlations_are_drawn_apart_and_the_rest_is_not():
    one = np.ones(2)
    columns = {"epoch": one, "train_loss": one, "tokens_loss": one, "val_srcc": one, "learning_rate": one}
    assert {kind: list(curves) for kind, curves in training.curves_of(columns).items()} == {
        "loss": ["training", "tokens"],
        "srcc": ["validation"],
    }


def test_what_a_stage_did_is_said_in_words():
    assert cost.what({"rows": 2880, "failed": 0, "clips_per_second": 26.99}) == "2,880 clips, 26.99 clips per second"
    assert cost.what({"videos": 1, "parameters": 155945, "strange": 3}) == "1 video, 156\N{NO-BREAK SPACE}k parameters"


def test_settings_are_flattened():
    values = {"b": [1, 2], "a": {"y": None, "x": 1}}
    assert identity.flattened(values) == {"a.x": "1", "a.y": "None", "b": "1, 2"}
    student = {"target_dim": 8, "provenance": {"distill": {"seed": 7}, "metrics": {"val_srcc": 0.1}}}
    run = replace(run_of(), student=student)
    assert identity.student_settings(run) == {"distill.seed": "7", "target_dim": "8"}


@pytest.fixture
def study(run_root):
    """Writes a study of the run's teacher and data set, or of others."""

    def write(name, **other):
        row = dict.fromkeys(("low", "high", "difference", "difference_low", "difference_high"))
        row |= {"group": "no tokens", "mean": 0.85, "n": 8}
        gain = {"difference": 0.016, "difference_low": 0.007, "difference_high": 0.025}
        open_ = {"difference": 0.005, "difference_low": -0.004, "difference_high": 0.014}
        digests = {f"{table}_sha256": file_digest(run_root / f"data/{table}.csv") for table in ("videos", "labels")}
        record = {
            "name": name,
            "commit": "c" * 40,
            "metric": "results/evaluate/summary.json:student",
            "teacher_sha256": TEACHER,
            **digests,
            "base": {"distill.losses.tokens": 0.0},
            "rows": [row, {**row, **gain, "group": "tokens"}, {**row, **open_, "group": "few tokens"}],
        }
        write_json(run_root / f"results/study/{name}.json", {**record, **other})

    return write


def test_a_study_of_this_teacher_and_data_set_is_shown(run_root, study):
    assert studies.section(load_run(run_root), SETTINGS) is None
    study("what_targets_add")
    shown = studies.section(load_run(run_root), SETTINGS)
    assert shown.conclusion == (
        "Of 2 differences measured over many runs with this teacher and data set, 1 is clear of zero; the largest is "
        "that of tokens, +0.016."
    )
    for words in ("What targets add", "0.007 to 0.025", "paired by seed, from tokens = 0", ">SRCC<"):
        assert words in shown.body
    assert "Left out" not in shown.body
    study("what_targets_add", labels_sha256=None)
    assert studies.section(load_run(run_root), SETTINGS) == shown


@pytest.mark.parametrize(
    "other", [{"teacher_sha256": "0" * 64}, {"videos_sha256": "0"}, {"labels_sha256": "0"}, {"teacher_sha256": None}]
)
def test_a_study_of_another_teacher_or_data_set_is_named_and_not_shown(run_root, study, other):
    study("strange", **other)
    shown = studies.section(load_run(run_root), SETTINGS)
    assert (shown.conclusion, shown.body) == ("Left out, since of another teacher or data set: strange.", "")
    study("ours")
    shown = studies.section(load_run(run_root), SETTINGS)
    assert "Left out, since of another teacher or data set: strange." in shown.body
    assert "<h3>Strange</h3>" not in shown.body


def test_a_malformed_study_is_refused(run_root, study):
    study("strange", rows=[{"group": "a"}])
    with pytest.raises(ReportError, match=r"strange.json, rows, 0, n: .*Field required"):
        studies.section(load_run(run_root), SETTINGS)
