"""Pearson's correlation after the fitted 4-parameter logistic."""

import numpy as np

from pipeline.core.agreement import pearson
from pipeline.evaluation.metrics.shared.logistic import logistic4


def plcc_logistic4(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Pearson's correlation after `logistic4`; NaN when a side is constant."""
    mapped = logistic4(prediction, mos)
    return pearson(mapped, np.asarray(mos, dtype=np.float64))
