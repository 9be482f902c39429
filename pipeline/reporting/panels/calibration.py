"""Panel: how sure is a score? Its interval against the truth, and predicted against true means."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.reporting.panels.shared.markup import figure, joined, note, side_by_side
from pipeline.reporting.panels.shared.section import Section, by_dataset
from pipeline.reporting.panels.shared.svg import INK, MUTED, STUDENT, TEACHER, draw, shortened
from pipeline.reporting.panels.shared.wording import counted, decimal, percent, points, score_digits
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Part, Run
from pipeline.reporting.settings import ReportSettings

TITLE = "How sure"
ORDER = 40


def section(run: Run, settings: ReportSettings) -> Section | None:
    """How many true scores lie in their intervals, and whether a score means what it says."""
    return by_dataset(run, _part)


def _part(part: Part) -> Section:
    bins = reliability(part.predictions)
    said, true, _ = max(bins, key=lambda group: abs(group[1] - group[0]))
    digits = score_digits(part)
    caption = (
        f"What is true on average where the student says a score, in {counted(len(bins), 'equal part')} of the test "
        "videos, with 95 % intervals; on the dotted line a score means what it says. Furthest from it: the student "
        f"says {decimal(said, digits)}, {decimal(true, digits)} is true."
    )
    drawn = [figure(_reliability_figure(bins, part), caption)]
    known = [row for row in part.predictions if row.low is not None and row.high is not None]
    if known:
        caption = "Intervals of single scores, in order of the score: true scores inside (dots) and outside (crosses)."
        drawn.insert(0, figure(_interval_figure(known, part), caption))
    return Section(_sentence(known, part), joined([side_by_side(*drawn), _outside(part)]))


def _sentence(known: Sequence[Prediction], part: Part) -> str:
    if not known:
        return "How sure a single score is cannot be said, since no interval of a test video is known."
    ends = np.asarray([(row.low, row.mos, row.high) for row in known], np.float64)
    inside = int(((ends[:, 0] <= ends[:, 1]) & (ends[:, 1] <= ends[:, 2])).sum())
    width = float((ends[:, 2] - ends[:, 0]).mean())
    shares = f"{percent(inside / len(known))} where {percent(0.95)} is promised"
    return (
        f"The interval that comes with a score holds the true one in {inside} of {counted(len(known), 'test video')}, "
        f"{shares}, and is on average {points(width, part)} wide."
    )


def _outside(part: Part) -> Markup:
    """What the model's own warning is worth: the error of videos that it calls out of domain beside the others'."""
    known = [row for row in part.predictions if row.out_of_domain is not None]
    groups = [[row.error for row in known if row.out_of_domain is outside] for outside in (True, False)]
    if not known:
        return Markup()
    text = f"The student calls {len(groups[0])} of {counted(len(known), 'test video')} unlike those of its training"
    if all(groups):
        far, near = (float(np.sqrt(np.mean(np.square(errors)))) for errors in groups)
        text += f"; their RMSE is {points(far, part)}, that of the others {decimal(near, score_digits(part))}"
    return note(text + ".")


def reliability(predictions: Sequence[Prediction], num_bins: int = 10) -> NDArray[np.float64]:
    """Splits the videos, ordered by prediction, into equal parts and compares what was predicted with what was true.

    Args:
        predictions: of one data set.
        num_bins: at most this many; fewer when a bin would have under five videos.

    Returns:
        Mean predicted score, mean true score and half the 95 % interval of the latter, shape ``(bins, 3)``.
    """
    ordered = sorted(predictions, key=lambda row: (row.student, row.video_id))
    parts = np.array_split([(row.student, row.mos) for row in ordered], max(1, min(num_bins, len(ordered) // 5)))
    spread = [1.96 * part[:, 1].std(ddof=1) / math.sqrt(len(part)) if len(part) > 1 else 0.0 for part in parts]
    return np.column_stack([[part.mean(axis=0) for part in parts], spread])


def _interval_figure(rows: Sequence[Prediction], part: Part) -> Markup:
    ordered = sorted(rows, key=lambda row: (row.student, row.video_id))
    low, true, high = np.asarray([(row.low, row.mos, row.high) for row in ordered], np.float64).T
    place, inside = np.arange(len(ordered)), (low <= true) & (true <= high)

    def paint(axes: Any) -> None:
        axes.fill_between(place, low, high, color=STUDENT, alpha=0.25, linewidth=0, step="mid")
        axes.plot(place[inside], true[inside], color=INK, marker="o", markersize=2.6, linestyle="none")
        axes.plot(place[~inside], true[~inside], color=TEACHER, marker="X", markersize=5.0, linestyle="none")
        axes.set_xticks([])
        axes.set_xlabel("test videos, by the student’s score")
        axes.set_ylabel(f"true {shortened(part.score_name, 30)}")

    described = f"Intervals of {counted(len(rows), 'test video')}; {int(inside.sum())} true scores lie inside"
    return draw(f"calibration-intervals-{part.key}", described, paint)


def _reliability_figure(bins: NDArray[np.float64], part: Part) -> Markup:
    x, y, spread = bins.T

    def paint(axes: Any) -> None:
        ends = [bins[:, :2].min(), bins[:, :2].max()]
        axes.plot(ends, ends, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        axes.errorbar(x, y, yerr=spread, color=STUDENT, marker="o", markersize=5.5, linestyle="none", capsize=2.5)
        axes.set_xlabel("mean predicted by the student")
        axes.set_ylabel(f"mean true {shortened(part.score_name, 30)}")

    described = "; ".join(f"{said:.1f} predicted, {true:.1f} true" for said, true, _ in bins)
    return draw(f"calibration-{part.key}", f"Calibration: {described}", paint)
