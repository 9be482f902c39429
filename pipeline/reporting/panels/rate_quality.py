"""Panel: quality over bitrate, per content."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.reporting.panels.breakdown import UNKNOWN, level_number
from pipeline.reporting.panels.shared.axes import _plain_ticks
from pipeline.reporting.panels.shared.svg import PAPER, Marker, draw
from pipeline.reporting.predictions import Prediction

MAX_CONTENTS = 24


"""How many contents get a rate–quality figure; more would make a page that nobody reads."""


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
