"""Kendall's rank correlation."""

import numpy as np
from scipy import stats

from pipeline.core.agreement import checked_pair


def krcc(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Kendall's tau-b; arguments, result and errors as for `srcc`."""
    prediction, mos = checked_pair(prediction, mos)
    return float(stats.kendalltau(prediction, mos).statistic)
