"""Pearson's correlation of the numbers as they are."""

import numpy as np

from pipeline.core.agreement import checked_pair, pearson


def plcc_raw(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Pearson's correlation of the numbers as they are; arguments, result and errors as for `srcc`."""
    return pearson(*checked_pair(prediction, mos))
