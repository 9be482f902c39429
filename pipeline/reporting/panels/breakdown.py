"""Panel: where it fails, by codec and by level."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from pipeline.core.agreement import srcc
from pipeline.reporting.panels.shared.axes import UNKNOWN, codec_markers, codec_of, codecs_of
from pipeline.reporting.panels.shared.markup import figure, side_by_side, table
from pipeline.reporting.panels.shared.section import Section, by_dataset
from pipeline.reporting.panels.shared.svg import MUTED, Marker, draw
from pipeline.reporting.panels.shared.wording import bias, decimal, points, score_digits, signed
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Part, Run
from pipeline.reporting.settings import ReportSettings

TITLE = "Where it fails"
ORDER = 50
_MIN_VIDEOS_FOR_SRCC = 5
_MAX_DISTINCT_LEVELS = 6
_NUM_BANDS = 4


def section(run: Run, settings: ReportSettings) -> Section | None:
    """The best and the worst codec, and the mean error over the level; None where neither is known."""
    markers = codec_markers(run.predictions)
    return by_dataset(run, lambda part: _part(part, markers))


def _part(part: Part, markers: Mapping[str, Marker]) -> Section | None:
    codecs, levels = by_codec(part.predictions), by_level(part.predictions)
    if not levels and [group.codec for group in codecs] == [UNKNOWN]:
        return None
    digits = score_digits(part)
    rows = [
        [
            Markup("{}{}").format(markers[group.codec].swatch, group.codec),
            str(len(group.rows)),
            decimal(group.srcc),
            decimal(group.rmse, digits),
            signed(group.bias, digits),
        ]
        for group in codecs
    ]
    header = ["codec", "videos", "SRCC", "RMSE", "mean error"]
    numbers = table("By codec; mean error is predicted minus true", header, rows, wide=["videos"])
    drawn = level_errors(f"breakdown-{part.key}", levels, markers)
    if drawn is None:
        return Section(_sentence(codecs, part), numbers)
    furthest = max(levels, key=lambda group: abs(group.bias))
    caption = (
        f"Mean error by level, marks as in the table; above the dotted line the student flatters. Furthest from it: "
        f"{furthest.codec} at level {furthest.levels}, on average {bias(furthest.bias, part)}."
    )
    return Section(_sentence(codecs, part), side_by_side(numbers, figure(drawn, caption)))


def _sentence(codecs: Sequence["Group"], part: Part) -> str:
    best, worst = min(codecs, key=lambda group: group.rmse), max(codecs, key=lambda group: group.rmse)
    of_worst = f"{points(worst.rmse, part)} off (RMSE), on average {bias(worst.bias, part)}"
    if best is worst:
        return f"On {worst.codec}, the only codec, the student is typically {of_worst}."
    return (
        f"The student errs most on {worst.codec}, typically {of_worst}, and least on {best.codec}, "
        f"{decimal(best.rmse, score_digits(part))} off."
    )


class Group(NamedTuple):
    """Test videos of one codec and level.

    Attributes:
        codec: of the group.
        levels: the level, or the range of levels; empty when the group spans all.
        middle: mean level as a number; None where levels are words.
        rows: the videos.
    """

    codec: str
    levels: str
    middle: float | None
    rows: list[Prediction]

    @property
    def bias(self) -> float:
        """Mean of predicted minus true."""
        return float(np.mean([row.error for row in self.rows]))

    @property
    def rmse(self) -> float:
        """Of the predictions as they are."""
        return float(np.sqrt(np.mean([row.error**2 for row in self.rows])))

    @property
    def srcc(self) -> float:
        """Rank correlation; NaN for fewer than five videos or when a side is constant."""
        student, mos = (np.asarray([getattr(row, name) for row in self.rows]) for name in ("student", "mos"))
        return srcc(student, mos) if len(self.rows) >= _MIN_VIDEOS_FOR_SRCC else math.nan


def by_codec(predictions: Sequence[Prediction]) -> list[Group]:
    """One group per codec, sorted by name."""
    return [
        Group(codec, "", None, [row for row in predictions if codec_of(row) == codec])
        for codec in codecs_of(predictions)
    ]


def by_level(predictions: Sequence[Prediction]) -> list[Group]:
    """Within each codec, one group per level, or per band of levels when a codec has more than six.

    A level means something within its codec only (a CRF of AV1 is not one of H.264), so codecs are never merged.
    Bands end at the quartiles of the codec's levels. Videos without a level are left out.
    """
    groups = []
    for codec, _, _, of_codec in by_codec([row for row in predictions if row.level]):
        numbers = [row.level_number for row in of_codec]
        levels = np.asarray([row.level for row in of_codec] if None in numbers else numbers)
        band = np.unique(levels, return_inverse=True)[1]
        if band.max() >= _MAX_DISTINCT_LEVELS and None not in numbers:
            band = np.digitize(levels, np.unique(np.quantile(levels, np.arange(1, _NUM_BANDS) / _NUM_BANDS)))
        for index in np.unique(band):
            own = [row for row, place in zip(of_codec, band, strict=True) if place == index]
            if None in numbers:
                groups.append(Group(codec, own[0].level, None, own))
            else:
                ends = sorted({f"{end(levels[band == index]):g}" for end in (np.min, np.max)}, key=float)
                groups.append(Group(codec, " to ".join(ends), float(levels[band == index].mean()), own))
    return groups


def level_errors(key: str, groups: Sequence[Group], markers: Mapping[str, Marker]) -> Markup | None:
    """Mean error of the student by level, one line per codec; None where no codec has two levels."""
    lines = {codec: [group for group in groups if group.codec == codec] for codec in markers}
    lines = {codec: line for codec, line in lines.items() if len(line) > 1}
    if not lines:
        return None
    in_numbers = all(group.middle is not None for line in lines.values() for group in line)

    def paint(axes: Any) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        for codec, line in lines.items():
            x = [group.middle if in_numbers else group.levels for group in line]
            look = markers[codec]
            axes.plot(x, [group.bias for group in line], color=look.colour, marker=look.shape, markersize=5.5)
        axes.set_xlabel("level (each codec’s own scale)")
        axes.set_ylabel("mean of predicted − true")

    return draw(key, f"Mean error by level for {', '.join(lines)}", paint)
