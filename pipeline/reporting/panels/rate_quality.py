"""Panel: does the score follow the encoder? Quality over bitrate, content by content."""

import itertools
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.reporting.panels.shared.axes import codec_markers, codec_of, round_places, score_limits, swatches
from pipeline.reporting.panels.shared.markup import joined, legend, note, side_by_side
from pipeline.reporting.panels.shared.section import Section, by_dataset
from pipeline.reporting.panels.shared.svg import PAPER, Marker, draw
from pipeline.reporting.panels.shared.wording import counted, percent
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Part, Run
from pipeline.reporting.settings import ReportSettings

TITLE = "Rate and quality"
ORDER = 60
MAX_CONTENTS = 6
"""How many contents have a figure; more would make a page that nobody reads."""

Lines = dict[str, list[tuple[float, Prediction]]]
"""Codec → encodes of one content, each with its rate (or level), ascending."""


def section(run: Run, settings: ReportSettings) -> Section | None:
    """Which of two encodes is better, by the student; None where no content has two encodes by one codec."""
    markers = codec_markers(run.predictions)
    return by_dataset(run, lambda part: _part(part, markers))


def _part(part: Part, markers: Mapping[str, Marker]) -> Section | None:
    rated = all(row.rate for row in part.predictions)
    contents = lines_by_content(part.predictions, rated)
    if not contents:
        return None
    chosen = np.unique(np.linspace(0, len(contents) - 1, MAX_CONTENTS).round().astype(int))
    shown = [list(contents.items())[index] for index in chosen]
    which = f"{len(shown)} of {counted(len(contents), 'content')}, " if len(shown) < len(contents) else ""
    text = (
        f"Scores over the {'rate of the file' if rated else 'level'}: {which}from the best predicted to the worst. "
        "Filled marks and solid lines are true scores, hollow marks and dashed lines the student’s."
    )
    limits = score_limits(part.predictions)
    figures = [
        Markup("<figure><h4>{}</h4>{}</figure>").format(
            content, rate_quality(f"rate-quality-{part.key}-{place}", content, lines, markers, limits, rated)
        )
        for place, (content, lines) in enumerate(shown)
    ]
    codecs = legend(swatches(dict(markers), part.predictions))
    return Section(_sentence(contents), joined([note(text), codecs, side_by_side(*figures, small=True)]))


def _sentence(contents: Mapping[str, Lines]) -> str:
    pairs = [
        (one, other) if one.mos > other.mos else (other, one)
        for lines in contents.values()
        for line in lines.values()
        for (_, one), (_, other) in itertools.combinations(line, 2)
        if one.mos != other.mos
    ]
    if not pairs:
        return "All encodes of one content by one codec have the same true score, so there is nothing to rank."
    right = percent(sum(better.student > worse.student for better, worse in pairs) / len(pairs))
    text = (
        f"Of two encodes of one content by one codec, the student prefers the truly better one in {right} of "
        f"{counted(len(pairs), 'pair')}"
    )
    if all(row.rate for pair in pairs for row in pair):
        by_rate = sum((better.rate or 0.0) > (worse.rate or 0.0) for better, worse in pairs)
        text += f"; taking the one of higher rate is right in {percent(by_rate / len(pairs))}"
    return text + "."


def lines_by_content(predictions: Sequence[Prediction], rated: bool) -> dict[str, Lines]:
    """The contents that have two rates (or numeric levels) of one codec, from the best predicted to the worst.

    Args:
        predictions: of one data set.
        rated: whether encodes stand by rate, else by level.
    """
    contents: dict[str, Lines] = {}
    errors: dict[str, list[float]] = {}
    for row in sorted(predictions, key=lambda row: (codec_of(row), row.video_id)):
        place = row.rate if rated else row.level_number
        if row.content and place is not None:
            contents.setdefault(row.content, {}).setdefault(codec_of(row), []).append((place, row))
            errors.setdefault(row.content, []).append(row.error**2)
    drawable = {
        content: {codec: sorted(line, key=itemgetter(0)) for codec, line in lines.items() if len(dict(line)) > 1}
        for content, lines in contents.items()
    }
    ordered = sorted(contents, key=lambda content: (float(np.mean(errors[content])), content))
    return {content: drawable[content] for content in ordered if drawable[content]}


def rate_quality(
    key: str, content: str, lines: Lines, markers: Mapping[str, Marker], limits: tuple[float, float], rated: bool
) -> Markup:
    """One content's scores over the rate: true (filled, solid) and predicted by the student (hollow, dashed).

    Args:
        key: of the figure, unique on the page.
        content: its name.
        lines: from `lines_by_content`.
        markers: of the codecs.
        limits: of the score axis, shared by all contents so that they compare.
        rated: whether the encodes stand by rate, on a logarithmic axis; else by level.
    """

    def paint(axes: Any) -> None:
        for codec, line in lines.items():
            places = [place for place, _ in line]
            look: dict[str, Any] = {"color": markers[codec].colour, "marker": markers[codec].shape, "markersize": 4.5}
            axes.plot(places, [row.mos for _, row in line], linewidth=1.2, **look)
            look |= {"linestyle": (0, (3, 2)), "markerfacecolor": PAPER}
            axes.plot(places, [row.student for _, row in line], linewidth=1.0, **look)
        if rated:
            axes.set_xscale("log")
            ticks = round_places(*(end(place for line in lines.values() for place, _ in line) for end in (min, max)))
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.set_xticks([], minor=True)
        axes.set_ylim(*limits)
        axes.set_xlabel("kbit/s" if rated else "level")

    described = f"{content}: true and predicted score over the {'rate' if rated else 'level'}"
    return draw(key, described, paint, width_inches=3.1, height_inches=2.2)
