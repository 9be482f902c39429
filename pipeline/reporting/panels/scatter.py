"""Panel: predicted and true scores of the test split."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from pipeline.evaluation.metrics.shared.logistic import logistic4
from pipeline.reporting.panels.shared.axes import _LARGE_TEST_SPLIT
from pipeline.reporting.panels.shared.svg import INK, MUTED, Marker, draw, shortened
from pipeline.reporting.predictions import Prediction


def fitted_logistic(prediction: np.ndarray, mos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 4-parameter logistic of the metrics, as a line: distinct predictions in order, and what they map to."""
    if len(prediction) < 2:
        return prediction, mos
    mapped = logistic4(prediction, mos)
    x, first = np.unique(prediction, return_index=True)
    return x, mapped[first]


def scatter(
    key: str,
    name: Literal["student", "teacher"],
    predictions: Sequence[Prediction],
    markers: Mapping[str, Marker],
    score_name: str,
) -> Markup:
    """Predicted against true scores by codec, with the fitted 4-parameter logistic and the line of equality.

    Args:
        key: of the figure, unique on the page.
        name: whose predictions.
        predictions: of one data set; those without a prediction by ``name`` are left out.
        markers: from `codec_markers`.
        score_name: of the MOS scale.
    """
    rows = [row for row in predictions if getattr(row, name) is not None]
    x = np.asarray([getattr(row, name) for row in rows], dtype=np.float64)
    y = np.asarray([row.mos for row in rows], dtype=np.float64)

    def paint(axes: Any) -> None:
        small = len(rows) > _LARGE_TEST_SPLIT
        for codec, look in markers.items():
            chosen = [index for index, row in enumerate(rows) if (row.codec or "unknown") == codec]
            axes.scatter(
                x[chosen],
                y[chosen],
                s=8 if small else 20,
                color=look.colour,
                marker=look.shape,
                alpha=0.5 if small else 0.8,
                linewidths=0,
            )
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        axes.plot(*fitted_logistic(x, y), color=INK, linewidth=1.8)
        axes.set_xlabel(f"predicted by the {name}")
        axes.set_ylabel(f"true {shortened(score_name, 36)}")

    return draw(key, f"{score_name}: true against predicted by the {name}, {len(rows)} videos", paint)
