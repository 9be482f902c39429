"""The first things a reader sees: one honest paragraph, a few big numbers, and the words for numbers everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.agreement import Interval
from pipeline.reporting.panels.shared.wording import amount, decimal, interval
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run, Scores


@dataclass(frozen=True)
class BigNumber:
    """A number to read from afar, what it is, and its interval in words."""

    value: str
    name: str
    interval: str


def big_numbers(run: Run) -> list[BigNumber]:
    """Test SRCC of the student, the teacher and CRF + codec, as far as they are there, and the student's size."""
    numbers = []
    for name, words in (("student", "student"), ("teacher", "teacher"), ("crf_codec", "CRF + codec alone")):
        scores = run.metrics.get(name, {})
        value = scores.get("srcc")
        if value is not None:
            bounds = interval(scores, 2)
            numbers.append(
                BigNumber(decimal(value, 2), f"SRCC, {words}", f"95\N{NO-BREAK SPACE}%: {bounds}" if bounds else "")
            )
    parameters = run.stage_metrics.get("distill", {}).get("parameters")
    if isinstance(parameters, int | float):
        teacher = run.stage_metrics.get("adapt", {}).get("parameters")
        beside = f"teacher: {amount(teacher)}" if isinstance(teacher, int | float) else ""
        numbers.append(BigNumber(amount(parameters), "parameters of the student", beside))
    return numbers


def paragraph(run: Run) -> str:
    """What was measured, on what, and how it compares; nothing is called better that the intervals do not part."""
    num_videos = len(run.predictions)
    num_contents = len({row.content for row in run.predictions if row.content})
    contents = f" of {_counted(num_contents, 'content')} that training never saw" if num_contents else ""
    student = run.metrics["student"]
    text = [
        f"On {_counted(num_videos, 'test video')}{contents}, the student ranks videos by {run.score_name} with a "
        f"Spearman correlation (SRCC) of {_with_interval(student)}."
    ]
    if run.metrics.get("teacher", {}).get("srcc") is not None:
        text.append(f"The teacher it learnt from reaches {_with_interval(run.metrics['teacher'])}.")
    trivial = run.metrics.get("crf_codec", {})
    if trivial.get("srcc") is not None:
        text.append(
            f"Knowing nothing but the encoder’s CRF and codec gives {_with_interval(trivial)}: "
            f"{_verdict(student, trivial, run.differences.get('crf_codec'))}."
        )
    return " ".join(text)


def intervals(predictions: Sequence[Prediction], scale_length: float) -> str:
    """How many true scores lie in the student's 95 % intervals, in words; empty where there are no intervals.

    Args:
        predictions: of one data set.
        scale_length: from its worst to its best score.
    """
    known = [(row.mos, row.low, row.high) for row in predictions if row.low is not None and row.high is not None]
    if not known:
        return ""
    inside = sum(low <= mos <= high for mos, low, high in known)
    width = sum(high - low for _, low, high in known) / len(known) / scale_length
    return (
        f"Each score comes with an interval that is to hold the true one in 95 of 100 videos: here it does in {inside} "
        f"of {len(known)} ({100 * inside / len(known):.0f}\N{NO-BREAK SPACE}%). Its mean width is "
        f"{100 * width:.0f}\N{NO-BREAK SPACE}% of the scale."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _with_interval(scores: Scores) -> str:
    bounds = interval(scores, 2)
    return decimal(scores.get("srcc"), 2) + (f" (95\N{NO-BREAK SPACE}% interval {bounds})" if bounds else "")


def _verdict(student: Scores, other: Scores, lead: Interval | None) -> str:
    """Compares two predictors by their paired difference, or else, more cautiously, by their intervals."""
    bounds = [scores.get(f"srcc_{end}") for scores in (student, other) for end in ("low", "high")]
    known = [bound for bound in bounds if bound is not None]
    if lead is not None:
        low, high = lead.low, lead.high
    elif len(known) == 4:
        low, high = known[0] - known[3], known[1] - known[2]
    else:
        return "without intervals the two cannot be told apart"
    if low > 0.0:
        return "the student sees more than that"
    if high < 0.0:
        return "on this data that is the better predictor, so the student’s score alone proves little"
    return "on this test split the two cannot be told apart"
