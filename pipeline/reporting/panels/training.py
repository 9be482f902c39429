"""The figures made from CSV files: training curves, and the few-label study."""

import re
from typing import Any

import numpy as np

from pipeline.reporting.files import Table
from pipeline.reporting.panels.experiments import few_label_curves
from pipeline.reporting.panels.shared.axes import Figure, _swatches
from pipeline.reporting.panels.shared.svg import MUTED, draw, marker
from pipeline.reporting.panels.shared.tables import _shown
from pipeline.reporting.run import Run

_KINDS = ("loss", "srcc", "plcc", "krcc", "rmse")
_NAME = re.compile(r"[^a-z0-9]+")


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


def _training_parts(run: Run) -> dict[str, Any]:
    drawn = []
    for stage, table in run.curves.items():
        best = run.stage_metrics.get(stage, {}).get("best_epoch")
        drawn += training_curves(stage, table, best if isinstance(best, int | float) else None)
    few_labels = run.few_labels
    return {
        "training_figures": drawn,
        "few_labels_figures": few_label_curves(few_labels) if few_labels and few_labels.rows else [],
        "few_labels_table": _shown(few_labels),
    }
