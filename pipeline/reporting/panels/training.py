"""Panel: did the training end well? Losses and validation SRCC of teacher and student over the epochs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.reporting.panels.shared.markup import figure, joined, note, side_by_side
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.panels.shared.svg import MUTED, draw, marker
from pipeline.reporting.panels.shared.wording import decimal
from pipeline.reporting.run import Run
from pipeline.reporting.settings import ReportSettings

TITLE = "Training"
ORDER = 80
_WHO = {"adapt": "teacher", "distill": "student"}
_SPLITS = {"train": "training", "val": "validation"}
_KINDS = {"loss": "loss", "srcc": "validation SRCC"}


def section(run: Run, settings: ReportSettings) -> Section | None:
    """Curves of the stages that trained, with the epoch whose weights were taken; None where none did."""
    if not run.curves:
        return None
    figures = [
        _figure(run, stage, kind, columns)
        for stage in run.curves
        for kind, columns in curves_of(run.curves[stage]).items()
    ]
    text = "The dotted line marks the epoch whose weights were taken; it was chosen on the validation split."
    return Section(_sentence(run), joined([note(text), side_by_side(*figures)]))


def _sentence(run: Run) -> str:
    parts = []
    for stage, columns in run.curves.items():
        last, best = int(next(iter(columns.values())).max()), _best_epoch(run, stage)
        srcc = run.stage_metrics.get(stage, {}).get("val_srcc")
        reached = f" (validation SRCC {decimal(srcc, 2)})" if isinstance(srcc, float) else ""
        if best is None or best >= last:
            parts.append(f"the {_WHO[stage]}’s weights are those of its last epoch, {last}{reached}")
        else:
            parts.append(f"the {_WHO[stage]}’s are those of epoch {best} of {last}{reached}; later ones were no better")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def _best_epoch(run: Run, stage: str) -> int | None:
    best = run.stage_metrics.get(stage, {}).get("best_epoch")
    return int(best) if isinstance(best, int | float) else None


def curves_of(columns: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Losses together and correlations together; other columns, such as the learning rate, are not drawn.

    Args:
        columns: of ``curves.csv``.

    Returns:
        ``loss`` or ``srcc`` → name as the page words it → values.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, values in columns.items():
        kind = name.rpartition("_")[2]
        if kind in _KINDS and np.isfinite(values).any():
            part = name.removesuffix(kind).rstrip("_")
            found.setdefault(kind, {})[_SPLITS.get(part, part.replace("_", " "))] = values
    return found


def _figure(run: Run, stage: str, kind: str, columns: Mapping[str, np.ndarray]) -> Any:
    epochs, best = next(iter(run.curves[stage].values())), _best_epoch(run, stage)
    looks = {name: marker(index) for index, name in enumerate(columns)}

    def paint(axes: Any) -> None:
        if best is not None:
            axes.axvline(best, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        for name, values in columns.items():
            look, every = looks[name], max(1, len(epochs) // 8)
            axes.plot(epochs, values, color=look.colour, marker=look.shape, markersize=4.5, markevery=every)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel(_KINDS[kind])

    last = ", ".join(f"{name} {values[np.isfinite(values)][-1]:.3g}" for name, values in columns.items())
    svg = draw(
        f"training-{stage}-{kind}",
        f"{_WHO[stage]}, {_KINDS[kind]} by epoch; at the end {last}",
        paint,
        height_inches=2.6,
    )
    return figure(
        svg, f"{_WHO[stage].capitalize()}, {_KINDS[kind]}.", {name: look.swatch for name, look in looks.items()}
    )
