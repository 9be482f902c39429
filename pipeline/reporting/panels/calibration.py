"""Panel: predicted against true scores in bins, and the fitted calibration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.reporting.panels import identity
from pipeline.reporting.panels.shared.svg import MUTED, STUDENT, draw, shortened
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Test videos with alike predictions: what was predicted and what was true, with a 95 % interval of the mean."""

    mean_prediction: float
    mean_mos: float
    low: float
    high: float
    num_videos: int


def reliability(predictions: Sequence[Prediction], num_bins: int = 10) -> list[Bin]:
    """Splits the videos, ordered by prediction, into equal parts and compares what was predicted with what was true.

    Args:
        predictions: the test split.
        num_bins: at most this many; fewer when a bin would have under five videos.
    """
    ordered = sorted(predictions, key=lambda row: (row.student, row.video_id))
    num_bins = max(1, min(num_bins, len(ordered) // 5))
    bins = []
    for part in np.array_split(np.arange(len(ordered)), num_bins):
        true = np.asarray([ordered[index].mos for index in part])
        predicted = np.asarray([ordered[index].student for index in part])
        spread = true.std(ddof=1) / math.sqrt(len(true)) if len(true) > 1 else 0.0
        mean = float(true.mean())
        bins.append(
            Bin(
                mean_prediction=float(predicted.mean()),
                mean_mos=mean,
                low=mean - 1.96 * float(spread),
                high=mean + 1.96 * float(spread),
                num_videos=len(true),
            )
        )
    return bins


def calibration(key: str, bins: Sequence[Bin], score_name: str) -> Markup:
    """Mean true score against mean predicted score of videos with alike predictions; the line is equality."""

    def paint(axes: Any) -> None:
        x = np.asarray([part.mean_prediction for part in bins])
        y = np.asarray([part.mean_mos for part in bins])
        spread = np.abs(np.asarray([[part.mean_mos - part.low, part.high - part.mean_mos] for part in bins])).T
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        axes.errorbar(x, y, yerr=spread, color=STUDENT, marker="o", markersize=5.5, linestyle="none", capsize=2.5)
        axes.set_xlabel("mean predicted by the student")
        axes.set_ylabel(f"mean true {shortened(score_name, 30)}")

    described = "; ".join(f"{part.mean_prediction:.1f} predicted, {part.mean_mos:.1f} true" for part in bins)
    return draw(key, f"Calibration: {described}", paint)


def _calibration(run: Run, dataset: str) -> dict[str, str]:
    """The parameters of the data set's stored calibration; of the only one where the data set is not known."""
    stored = _mapping(run.student.get("calibrations"))
    chosen = stored.get(dataset) or (next(iter(stored.values())) if not dataset and len(stored) == 1 else None)
    return identity.flattened({name: _rounded(value) for name, value in _mapping(chosen).items()})


def _rounded(value: Any) -> Any:
    """A number as people read it; the model has all its digits."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
