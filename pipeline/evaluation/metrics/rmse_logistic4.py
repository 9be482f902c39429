"""Root mean squared error after the fitted 4-parameter logistic."""

import numpy as np

from pipeline.evaluation.metrics.shared.logistic import logistic4


def rmse_logistic4(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Root mean squared error after `logistic4`, in units of ``mos``; arguments and errors as for `srcc`."""
    mapped = logistic4(prediction, mos)
    return float(np.sqrt(np.mean((mapped - np.asarray(mos, dtype=np.float64)) ** 2)))
