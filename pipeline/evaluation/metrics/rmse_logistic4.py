"""Root mean squared error after the fitted 4-parameter logistic."""

import numpy as np

from pipeline.evaluation.metrics.rmse_raw import rmse_raw
from pipeline.evaluation.metrics.shared.logistic import logistic4


def rmse_logistic4(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Root mean squared error after `logistic4`, in units of ``mos``."""
    return rmse_raw(logistic4(prediction, mos), mos)
