"""Panel: test SRCC of student, teacher and baselines."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.reporting.panels.shared import wording
from pipeline.reporting.panels.shared.svg import GRID, MUTED, STUDENT, TEACHER, draw, shortened
from pipeline.reporting.panels.shared.tables import _shown
from pipeline.reporting.run import Run, Scores


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


_METRICS = (
    ("krcc", "KRCC", 3),
    ("plcc_raw", "PLCC, raw", 3),
    ("plcc_logistic4", "PLCC, logistic", 3),
    ("rmse_raw", "RMSE, raw", 2),
    ("rmse_logistic4", "RMSE, logistic", 2),
)


def _comparison_parts(run: Run) -> dict[str, Any]:
    metrics = wording.ordered(run.metrics)
    titles = {name: wording.title_of(name) for name in metrics}
    rows = [
        [
            titles[name],
            wording.decimal(scores.get("srcc")),
            wording.interval(scores),
            *([wording.difference(run.differences.get(name))] if run.differences else []),
            *(wording.decimal(scores.get(key), digits) for key, _, digits in _METRICS),
        ]
        for name, scores in metrics.items()
    ]
    lead = ["student’s lead"] if run.differences else []
    return {
        "comparison_figure": comparison(metrics, titles),
        "metric_header": ["predictor", "SRCC", "95 % interval", *lead, *(name for _, name, _ in _METRICS)],
        "metric_rows": rows,
        "has_lead": bool(run.differences),
        "study_table": _shown(run.comparison),
    }
