"""Panel: curves of a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.reporting.files import Table
from pipeline.reporting.panels.shared.axes import _MAX_LINES, Figure, _swatches
from pipeline.reporting.panels.shared.svg import MUTED, Marker, draw, marker
from pipeline.reporting.panels.shared.wording import title_of

_OVER_ALONE = "over_alone"


_DRAWN = {
    "splits": "Means over several splits of one data set.",
    "data_sets": "Means over several data sets of the default's generator, whatever this run's own data are.",
}


"""What a few-label study's column of numbers is called → whose means it has."""


_APART = 0.012


"""Between the marks of two variants, as a share of the axis: their intervals would hide each other."""


def few_label_curves(table: Table) -> list[Figure]:
    """SRCC over the amount of labels, one line per variant; then what each variant has over the student alone.

    The first column is the amount; a column whose name has ``srcc`` is drawn, with its interval where columns of the
    same name with ``_low`` and ``_high`` follow; columns of words name the variants, predictors as the page calls them.
    ``over_alone``, paired by seed, is a figure of its own, since its unit is another; the student alone, which has
    nothing over itself, is left out there.

    Returns:
        No figure where the table has no such columns; the page then shows it as a table only.
    """
    amount = table.numbers(table.header[0])
    numeric = {name: values for name in table.header[1:] if (values := table.numbers(name)) is not None}
    measured = [name for name in numeric if "srcc" in name and not name.endswith(("_low", "_high"))]
    if amount is None or not measured:
        return []
    words = [name for name in table.header[1:] if name not in numeric]
    parts = zip(*(map(title_of, table.text(name)) for name in words), strict=True)
    variants = [" ".join(filter(None, part)) for part in parts]
    study = _Study(table.header[0], amount, variants or [""] * len(table.rows), numeric)
    drawn = next((text for name, text in _DRAWN.items() if name in numeric), "The same study with ever fewer labels.")
    figures = [_few_label_figure(study, measured, drawn)]
    if _OVER_ALONE in numeric:
        gain = "What it has over the student without targets, paired by seed, with its interval over seeds."
        figures.append(_few_label_figure(study, [_OVER_ALONE], gain))
    return figures


@dataclass(frozen=True)
class _Study:
    """The few-label table: the amount's name and values, each row's variant, and the columns of numbers."""

    axis: str
    amount: np.ndarray
    variants: list[str]
    numeric: dict[str, np.ndarray]

    def rows(self, variant: str) -> np.ndarray:
        """Of one variant, by rising amount."""
        chosen = np.asarray([index for index, value in enumerate(self.variants) if value == variant])
        return chosen[np.argsort(self.amount[chosen], kind="stable")]


def _few_label_figure(study: _Study, measured: Sequence[str], caption: str) -> Figure:
    of_difference = list(measured) == [_OVER_ALONE]
    every = [(variant, name) for variant in dict.fromkeys(study.variants) for name in measured]
    legend: dict[str, Marker] = {}
    lines: list[tuple[str, str]] = []
    for index, (variant, name) in enumerate(every[:_MAX_LINES]):
        if of_difference and not study.numeric[name][study.rows(variant)].any():
            continue
        lines.append((variant, name))
        legend[f"{variant} {name}".strip() if len(measured) > 1 or not variant else variant] = marker(index)

    def paint(axes: Any) -> None:
        if of_difference:
            axes.axhline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        apart = _APART * float(np.ptp(study.amount)) if of_difference else 0.0
        for number, ((variant, name), look) in enumerate(zip(lines, legend.values(), strict=True)):
            order = study.rows(variant)
            x = study.amount[order] + apart * (number - (len(lines) - 1) / 2)
            axes.plot(x, study.numeric[name][order], color=look.colour, marker=look.shape, markersize=5.0)
            low, high = (study.numeric.get(f"{name}{end}") for end in ("_low", "_high"))
            if low is not None and high is not None and of_difference:
                axes.vlines(x, low[order], high[order], color=look.colour, linewidth=1.5)
            elif low is not None and high is not None:
                axes.fill_between(x, low[order], high[order], color=look.colour, alpha=0.15, linewidth=0)
        axes.set_xlabel(study.axis.replace("_", " "))
        axes.set_ylabel(" / ".join(measured).replace("_", " "))

    name = "few-labels-gain" if of_difference else "few-labels"
    svg = draw(name, f"{' and '.join(measured)} over {study.axis}", paint)
    return Figure(svg, caption, _swatches(legend))
