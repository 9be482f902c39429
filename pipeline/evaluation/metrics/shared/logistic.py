"""The 4-parameter logistic that maps predictions to scores."""

import warnings

import numpy as np
from scipy import optimize, special

from pipeline.core.agreement import checked_pair

NUM_LOGISTIC_PARAMETERS = 4


def logistic4(prediction: np.ndarray, mos: np.ndarray) -> np.ndarray:
    """Maps predictions to scores by the least-squares 4-parameter logistic.

    ``ŷ = β2 + (β1 − β2) / (1 + exp(−(x − β3) / |β4|))``, started at β = (max y, min y, mean x, 0.5). The fit runs from
    that start and from the same start on standardised x, and the better one counts, so that the result hardly depends
    on the unit of x.

    Args:
        prediction: predicted scores, shape ``(n,)``, finite.
        mos: true scores, same shape.

    Returns:
        Mapped predictions, float64, shape ``(n,)``. With fewer than five points, or when no fit converges, the
        least-squares line is used; a constant prediction maps to the mean score.

    Raises:
        MetricError: as for `srcc`.

    Ref: VQEG FR-TV phase I/II final reports; the form used in recent video-quality papers.
    """
    x, y = checked_pair(prediction, mos)
    if np.ptp(x) == 0.0:
        return np.full_like(y, y.mean())
    line = np.polyval(np.polyfit(x - x.mean(), y, 1), x - x.mean())
    if len(x) <= NUM_LOGISTIC_PARAMETERS:
        return line
    candidates = [fit for fit in (_fit_logistic4(x, y), _fit_logistic4((x - x.mean()) / x.std(), y)) if fit is not None]
    return min([*candidates, line], key=lambda mapped: float(np.sum((mapped - y) ** 2)))


def _logistic(x: np.ndarray, top: float, bottom: float, middle: float, width: float) -> np.ndarray:
    return bottom + (top - bottom) * special.expit((x - middle) / max(abs(width), 1e-12))


def _fit_logistic4(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """The fitted curve at ``x``, or None when the fit does not converge."""
    start = (float(y.max()), float(y.min()), float(x.mean()), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optimize.OptimizeWarning)
        try:
            parameters, _ = optimize.curve_fit(_logistic, x, y, p0=start, method="trf", max_nfev=2000)
        except RuntimeError:
            return None
    mapped = _logistic(x, *parameters)
    return mapped if np.isfinite(mapped).all() else None
