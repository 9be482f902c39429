"""What figures about scores have in common: the look of codecs, dots with intervals, limits and round ticks."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from pipeline.reporting.panels.shared.svg import MUTED, Marker, draw, marker, shortened
from pipeline.reporting.panels.shared.wording import decimal
from pipeline.reporting.predictions import Prediction

UNKNOWN = "unknown"


def codec_of(row: Prediction) -> str:
    """The video's codec, or ``unknown``."""
    return row.codec or UNKNOWN


def codecs_of(predictions: Iterable[Prediction]) -> list[str]:
    """The codecs, sorted."""
    return sorted(set(map(codec_of, predictions)))


def codec_markers(predictions: Sequence[Prediction]) -> dict[str, Marker]:
    """Codec → its colour and shape: give all of the run's predictions, and they are the same in every figure."""
    return {codec: marker(index) for index, codec in enumerate(codecs_of(predictions))}


def swatches(markers: dict[str, Marker], predictions: Sequence[Prediction]) -> dict[str, Markup]:
    """The legend of the codecs of some predictions."""
    return {codec: markers[codec].swatch for codec in codecs_of(predictions)}


class Dot(NamedTuple):
    """A value with the ends of its interval, where known."""

    name: str
    value: float
    low: float | None
    high: float | None
    look: Marker = Marker(MUTED, "D")


def dots(key: str, entries: Sequence[Dot], label: str) -> Markup:
    """Values with their intervals, one below the other.

    Args:
        key: of the figure, unique on the page.
        entries: from top to bottom.
        label: of the axis.
    """

    def paint(axes: Any) -> None:
        for place, (_, value, low, high, look) in enumerate(reversed(entries)):
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=look.colour, linewidth=2.4, solid_capstyle="round")
            axes.plot([value], [place], color=look.colour, marker=look.shape, markersize=6.5, linestyle="none")
        axes.set_yticks(range(len(entries)), [shortened(entry.name) for entry in reversed(entries)])
        axes.set_ylim(-0.6, len(entries) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(label)

    described = "; ".join(f"{entry.name} {decimal(entry.value, 2)}" for entry in entries)
    return draw(key, f"{label}: {described}", paint, height_inches=0.9 + 0.3 * len(entries))


def score_limits(predictions: Sequence[Prediction]) -> tuple[float, float]:
    """Limits of an axis that holds all true and predicted scores of the student."""
    values = [score for row in predictions for score in (row.mos, row.student)]
    margin = 0.05 * (max(values) - min(values) or 1.0)
    return min(values) - margin, max(values) + margin


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
