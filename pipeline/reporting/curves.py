"""The figures made from CSV files: training curves, and the few-label study."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.reporting.files import Table
from pipeline.reporting.summary import title_of
from pipeline.reporting.svg import MUTED, Marker, draw, marker

_KINDS = ("loss", "srcc", "plcc", "krcc", "rmse")
_NAME = re.compile(r"[^a-z0-9]+")
_MAX_LINES = 42
_OVER_ALONE = "over_alone"
_DRAWN = {
    "splits": "Means over several splits of one data set.",
    "data_sets": "Means over several data sets of the default's generator, whatever this run's own data are.",
}
"""What a few-label study's column of numbers is called → whose means it has."""
_APART = 0.012
"""Between the marks of two variants, as a share of the axis: their intervals would hide each other."""


@dataclass(frozen=True)
class Figure:
    """A drawn figure with its caption and its legend (name → swatch)."""

    svg: Markup
    caption: str
    legend: dict[str, Markup]


def training_curves(stage: str, table: Table, best_epoch: float | None) -> list[Figure]:
    """Draws every numeric column over the epoch, columns of one kind (losses, correlations, errors) together.

    Args:
        stage: ``adapt`` or ``distill``.
        table: its ``curves.csv``.
        best_epoch: marked by a vertical line when known.
    """
    first = table.header[0]
    epochs = table.numbers(first)
    if epochs is None:
        return []
    groups: dict[str, list[str]] = {}
    for name in table.header[1:]:
        kind = next((kind for kind in _KINDS if kind in name), name)
        kind = "correlation" if kind in ("srcc", "plcc", "krcc") else kind
        groups.setdefault(kind, []).append(name)
    figures = []
    for kind, names in groups.items():
        columns = {name: values for name in names if (values := table.numbers(name)) is not None}
        if columns:
            figures.append(_curve_figure(stage, kind, first, epochs, columns, best_epoch))
    return figures


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


def _curve_figure(
    stage: str, kind: str, axis: str, epochs: np.ndarray, columns: dict[str, np.ndarray], best_epoch: float | None
) -> Figure:
    looks = {name: marker(index) for index, name in enumerate(columns)}

    def paint(axes: Any) -> None:
        every = max(1, len(epochs) // 8)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        for name, values in columns.items():
            look = looks[name]
            axes.plot(epochs, values, color=look.colour, marker=look.shape, markersize=4.5, markevery=every)
        if (epochs == epochs.round()).all():
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(axis)
        axes.set_ylabel(kind.replace("_", " "))

    described = f"{stage}: {', '.join(columns)} over {axis}; last values {_last(columns)}"
    name = f"curve-{stage}-{_NAME.sub('-', kind.lower())}"
    svg = draw(name, described, paint, height_inches=2.6)
    title = kind.replace("_", " ") if len(columns) > 1 else next(iter(columns))
    return Figure(svg, f"{stage}: {title}", _swatches(looks))


def _last(columns: dict[str, np.ndarray]) -> str:
    finite = {name: values[np.isfinite(values)] for name, values in columns.items()}
    return ", ".join(f"{values[-1]:.3g}" for values in finite.values())


def _swatches(looks: dict[str, Marker]) -> dict[str, Markup]:
    return {name: look.swatch for name, look in looks.items()}
