"""Ordinary least squares, and the error that baselines raise."""

import numpy as np

from pipeline.core.errors import PipelineError


class BaselineError(PipelineError):
    """A baseline lacks what it predicts from."""


def least_squares(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Predicts by ordinary least squares; the features are expected to hold their own constant."""
    weights = np.linalg.lstsq(train_x, train_y, rcond=None)[0]
    return np.asarray(x @ weights)
