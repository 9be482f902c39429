"""Root mean squared error of the numbers as they are."""

import numpy as np

from pipeline.core.agreement import checked_pair


def rmse_raw(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Root mean squared error of the numbers as they are, in units of ``mos``; arguments and errors as for `srcc`."""
    prediction, mos = checked_pair(prediction, mos)
    return float(np.sqrt(np.mean((prediction - mos) ** 2)))
