"""The figures about scores: predictors compared, predicted against true, error by level, calibration, rate and quality.

Each function returns an ``<svg>`` for the page; legends are HTML, made from the same markers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipeline.reporting.panels.breakdown import codecs_of
from pipeline.reporting.panels.shared.svg import (
    Marker,
    marker,
)
from pipeline.reporting.predictions import Prediction

_LARGE_TEST_SPLIT = 600


def codec_markers(predictions: Sequence[Prediction]) -> dict[str, Marker]:
    """Codec → its colour and shape, the same in every figure of the page."""
    return {codec: marker(index) for index, codec in enumerate(codecs_of(predictions))}


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


_MAX_LINES = 42


@dataclass(frozen=True)
class Figure:
    """A drawn figure with its caption and its legend (name → swatch)."""

    svg: Markup
    caption: str
    legend: dict[str, Markup]


def _swatches(looks: dict[str, Marker]) -> dict[str, Markup]:
    return {name: look.swatch for name, look in looks.items()}
