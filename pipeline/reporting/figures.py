"""The figures about scores: predictors compared, predicted against true, error by level, calibration, rate and quality.

Each function returns an ``<svg>`` for the page; legends are HTML, made from the same markers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from pipeline.reporting.breakdown import UNKNOWN, Bin, Group, codecs_of, fitted_logistic, level_number
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Scores
from pipeline.reporting.svg import GRID, INK, MUTED, PAPER, STUDENT, TEACHER, Marker, draw, marker, shortened

MAX_CONTENTS = 24
"""How many contents get a rate–quality figure; more would make a page that nobody reads."""
_LARGE_TEST_SPLIT = 600


def codec_markers(predictions: Sequence[Prediction]) -> dict[str, Marker]:
    """Codec → its colour and shape, the same in every figure of the page."""
    return {codec: marker(index) for index, codec in enumerate(codecs_of(predictions))}


def comparison(metrics: Mapping[str, Scores], titles: Mapping[str, str]) -> Markup:
    """SRCC of every predictor with its 95 % interval, one below the other."""

    def paint(axes: Any) -> None:
        names = list(metrics)
        for place, name in enumerate(reversed(names)):
            scores = metrics[name]
            value, low, high = (scores.get(key) for key in ("srcc", "srcc_low", "srcc_high"))
            if value is None:
                continue
            colour = {"student": STUDENT, "teacher": TEACHER}.get(name, MUTED)
            shape = {"student": "o", "teacher": "s"}.get(name, "D")
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=colour, linewidth=2.4, solid_capstyle="round")
            axes.plot([value], [place], color=colour, marker=shape, markersize=6.5, linestyle="none")
        axes.set_yticks(range(len(names)), [shortened(titles[name]) for name in reversed(names)])
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.axvline(0.0, color=GRID, linewidth=1.0, zorder=0)
        axes.set_xlabel("SRCC")

    described = "; ".join(f"{titles[name]} {scores['srcc']:.2f}" for name, scores in metrics.items() if scores["srcc"])
    return draw("comparison", f"SRCC: {described}", paint, height_inches=0.9 + 0.3 * len(metrics))


def scatter(
    key: str,
    name: Literal["student", "teacher"],
    predictions: Sequence[Prediction],
    markers: Mapping[str, Marker],
    score_name: str,
) -> Markup:
    """Predicted against true scores by codec, with the fitted 4-parameter logistic and the line of equality.

    Args:
        key: of the figure, unique on the page.
        name: whose predictions.
        predictions: of one data set; those without a prediction by ``name`` are left out.
        markers: from `codec_markers`.
        score_name: of the MOS scale.
    """
    rows = [row for row in predictions if getattr(row, name) is not None]
    x = np.asarray([getattr(row, name) for row in rows], dtype=np.float64)
    y = np.asarray([row.mos for row in rows], dtype=np.float64)

    def paint(axes: Any) -> None:
        small = len(rows) > _LARGE_TEST_SPLIT
        for codec, look in markers.items():
            chosen = [index for index, row in enumerate(rows) if (row.codec or "unknown") == codec]
            axes.scatter(
                x[chosen],
                y[chosen],
                s=8 if small else 20,
                color=look.colour,
                marker=look.shape,
                alpha=0.5 if small else 0.8,
                linewidths=0,
            )
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        axes.plot(*fitted_logistic(x, y), color=INK, linewidth=1.8)
        axes.set_xlabel(f"predicted by the {name}")
        axes.set_ylabel(f"true {shortened(score_name, 36)}")

    return draw(key, f"{score_name}: true against predicted by the {name}, {len(rows)} videos", paint)


def level_errors(key: str, groups: Sequence[Group], markers: Mapping[str, Marker]) -> Markup | None:
    """Mean error of the student by level, one line per codec; None where no codec has two numeric levels."""
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if group.middle is not None:
            lines.setdefault(group.codec, []).append(group)
    lines = {codec: line for codec, line in lines.items() if len(line) > 1}
    if not lines:
        return None

    def paint(axes: Any) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        for codec, line in lines.items():
            x, y = [group.middle for group in line], [group.bias for group in line]
            axes.plot(x, y, color=markers[codec].colour, marker=markers[codec].shape, markersize=5.5)
        axes.set_xlabel("level (each codec's own scale)")
        axes.set_ylabel("mean of predicted − true")

    return draw(key, f"Mean error by level for {', '.join(lines)}", paint)


def calibration(key: str, bins: Sequence[Bin], score_name: str) -> Markup:
    """Mean true score against mean predicted score of videos with alike predictions; the line is equality."""

    def paint(axes: Any) -> None:
        x = np.asarray([part.mean_prediction for part in bins])
        y = np.asarray([part.mean_mos for part in bins])
        spread = np.abs(np.asarray([[part.mean_mos - part.low, part.high - part.mean_mos] for part in bins])).T
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        axes.errorbar(x, y, yerr=spread, color=STUDENT, marker="o", markersize=5.5, linestyle="none", capsize=2.5)
        axes.set_xlabel("mean predicted by the student")
        axes.set_ylabel(f"mean true {shortened(score_name, 30)}")

    described = "; ".join(f"{part.mean_prediction:.1f} predicted, {part.mean_mos:.1f} true" for part in bins)
    return draw(key, f"Calibration: {described}", paint)


def rate_quality_contents(predictions: Sequence[Prediction]) -> tuple[list[str], int]:
    """The contents that have a curve to show, that is, two rates (or numeric levels) of one codec.

    Returns:
        At most ``MAX_CONTENTS`` of them, from the best predicted to the worst (evenly spaced when there are more), and
        how many there are in all.
    """
    by_content: dict[str, list[Prediction]] = {}
    for row in predictions:
        if row.content:
            by_content.setdefault(row.content, []).append(row)
    drawable = {content: rows for content, rows in by_content.items() if rate_lines(rows)}
    ordered = sorted(
        drawable, key=lambda content: (float(np.mean([row.error**2 for row in drawable[content]])), content)
    )
    if len(ordered) <= MAX_CONTENTS:
        return ordered, len(ordered)
    chosen = np.linspace(0, len(ordered) - 1, MAX_CONTENTS).round().astype(int)
    return [ordered[index] for index in chosen], len(ordered)


def has_rates(predictions: Sequence[Prediction]) -> bool:
    """Whether the rate of every file is known; else levels take its place."""
    return all(row.rate for row in predictions)


def rate_lines(predictions: Sequence[Prediction]) -> dict[str, list[tuple[float, Prediction]]]:
    """One content's encodes, codec by codec, each with its rate (or level), ascending; codecs of a single one left out.

    Args:
        predictions: of one content.
    """
    rated = has_rates(predictions)
    lines: dict[str, list[tuple[float, Prediction]]] = {}
    for row in predictions:
        place = row.rate if rated else level_number(row.level)
        if place is not None:
            lines.setdefault(row.codec or UNKNOWN, []).append((place, row))
    return {
        codec: sorted(line, key=lambda pair: (pair[0], pair[1].video_id))
        for codec, line in sorted(lines.items())
        if len({place for place, _ in line}) > 1
    }


def rate_quality(
    key: str, predictions: Sequence[Prediction], markers: Mapping[str, Marker], limits: tuple[float, float]
) -> Markup:
    """One content's scores over the rate: true (filled, solid) and predicted by the student (hollow, dashed).

    Args:
        key: of the figure, unique on the page.
        predictions: the content's videos; where the rate of one is not known, all stand over their level.
        markers: from `codec_markers`.
        limits: of the score axis, shared by all contents so that they compare.
    """
    lines, rated = rate_lines(predictions), has_rates(predictions)

    def paint(axes: Any) -> None:
        for codec, line in lines.items():
            places = [place for place, _ in line]
            true, predicted = [row.mos for _, row in line], [row.student for _, row in line]
            look: dict[str, Any] = {"color": markers[codec].colour, "marker": markers[codec].shape, "markersize": 4.5}
            axes.plot(places, true, linewidth=1.2, **look)
            axes.plot(places, predicted, linewidth=1.0, linestyle=(0, (3, 2)), markerfacecolor=PAPER, **look)
        if rated:
            axes.set_xscale("log")
            _plain_ticks(axes, [place for line in lines.values() for place, _ in line])
        axes.set_ylim(*limits)
        axes.set_xlabel("kbit/s" if rated else "level")

    over = "rate" if rated else "level"
    described = f"{predictions[0].content}: true and predicted score over the {over}, {len(predictions)} videos"
    return draw(key, described, paint, width_inches=3.1, height_inches=2.2)


def _plain_ticks(axes: Any, places: Sequence[float]) -> None:
    """A logarithmic axis with a few round numbers on it."""
    ticks = round_places(min(places), max(places))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def round_places(low: float, high: float) -> list[float]:
    """Two to about seven round numbers near ``low`` … ``high`` of a logarithmic axis, the roundest that there are.

    Args:
        low: above 0.
        high: at least ``low``.
    """
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for steps in _STEPS[0 if high >= 100 * low else 1 :]:
        values = [float(f"{step}e{power}") for power in powers for step in steps]
        chosen = [value for value in values if low * 0.8 <= value <= high * 1.25]
        if sum(low <= value <= high for value in chosen) >= 2:
            return chosen
    return sorted({float(f"{low:.3g}"), float(f"{high:.3g}")})


_STEPS = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.7, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9))
"""By what powers of ten are multiplied; the next where two of them do not fall into the range."""


def score_limits(predictions: Sequence[Prediction]) -> tuple[float, float]:
    """Limits of an axis that holds all true and predicted scores of the student."""
    values = [row.mos for row in predictions] + [row.student for row in predictions]
    margin = 0.05 * (max(values) - min(values) or 1.0)
    return min(values) - margin, max(values) + margin
