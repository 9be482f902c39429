"""From a student's raw score to the scale of opinion scores: a strictly monotone logistic, fitted on validation.

``mos = low + (high − low) / (1 + exp(−(slope · score + offset)))`` with ``slope > 0`` and ``low < high``, so that the
order of videos, and with it every rank correlation, is untouched.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from pipeline.errors import PipelineError

_MARGIN = 0.25
"""How far, in lengths of the scale, the asymptotes may lie outside it."""
_MIN_SLOPE = 0.05
_MAX_SLOPE = 4.0
"""Per standard deviation of the scores; a steeper curve is a step, and calls everything either good or bad."""
_MAX_EXPONENT = 20.0
"""Beyond it float64 hardly tells a logistic from its asymptote, so the curve goes on as its own tangent."""


class CalibrationError(PipelineError):
    """There is nothing to fit a calibration on."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted curve, with what it was fitted on.

    Attributes:
        low: lower asymptote, in MOS.
        high: upper asymptote, in MOS; above `low`.
        slope: per unit of raw score, above 0.
        offset: added to the scaled score.
        residual_std: standard deviation of the validation residuals, in MOS.
        dataset: whose opinion scores these are.
        score_name: what the scores are, such as ``MOS``.
        scale_low: worst value of the scale.
        scale_high: best value of the scale; higher is better throughout.
        num_videos: how many validation videos were used.
    """

    low: float
    high: float
    slope: float
    offset: float
    residual_std: float
    dataset: str
    score_name: str
    scale_low: float
    scale_high: float
    num_videos: int

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """Maps raw scores to MOS.

        Args:
            score: any shape, float.

        Returns:
            float64, same shape, strictly increasing in ``score``.
        """
        return _curve(np.asarray(score, dtype=np.float64), self.low, self.high, self.slope, self.offset)

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, as stored in a student's ``config.json``."""
        return asdict(self)


def fit_calibration(
    score: np.ndarray, mos: np.ndarray, *, dataset: str, score_name: str, scale_low: float, scale_high: float
) -> Calibration:
    """Fits the curve by least squares.

    Args:
        score: raw scores of the validation videos, shape ``(n,)``, finite.
        mos: their opinion scores, same shape.
        dataset: whose scores these are.
        score_name: what the scores are called.
        scale_low: worst value of the scale.
        scale_high: best value of the scale.

    Returns:
        The calibration. The slope stays above 0 even where score and MOS do not go together, since a student's order of
        videos is not a matter of calibration.

    Raises:
        CalibrationError: there are fewer than two videos, or a value is not finite.
    """
    x, y = np.asarray(score, dtype=np.float64), np.asarray(mos, dtype=np.float64)
    if len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise CalibrationError(
            f"{dataset}: got {len(x)} validation videos with a score; a calibration needs at least 2, all finite; "
            "give the validation split labelled videos"
        )
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    length = scale_high - scale_low

    def residuals(parameters: np.ndarray) -> np.ndarray:
        bottom, top, slope, offset = parameters
        z = slope * (x - centre) / spread + offset
        curve = bottom + (top - bottom) * special.expit(z)
        return np.asarray(curve - (y - scale_low) / length)

    fit = optimize.least_squares(
        residuals,
        x0=[-_MARGIN / 2, 1.0 + _MARGIN / 2, 1.0, 0.0],
        bounds=([-_MARGIN, 0.75, _MIN_SLOPE, -_MAX_EXPONENT / 3], [0.25, 1.0 + _MARGIN, _MAX_SLOPE, _MAX_EXPONENT / 3]),
    )
    bottom, top, slope, offset = (float(value) for value in fit.x)
    return Calibration(
        low=scale_low + length * bottom,
        high=scale_low + length * top,
        slope=slope / spread,
        offset=offset - slope * centre / spread,
        residual_std=float(np.std(residuals(fit.x)) * length),
        dataset=dataset,
        score_name=score_name,
        scale_low=scale_low,
        scale_high=scale_high,
        num_videos=len(x),
    )


def _curve(x: np.ndarray, low: float, high: float, slope: float, offset: float) -> np.ndarray:
    z = slope * x + offset
    inside = np.clip(z, -_MAX_EXPONENT, _MAX_EXPONENT)
    edge = float(special.expit(-_MAX_EXPONENT))
    return low + (high - low) * (special.expit(inside) + edge * (z - inside))
