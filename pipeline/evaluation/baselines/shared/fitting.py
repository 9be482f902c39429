"""Least squares and ridge regression, and the error that baselines raise."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.core.errors import PipelineError
from pipeline.students.data.rows import VideoRows

ALPHAS = np.logspace(-2, 4, 13)


class BaselineError(PipelineError):
    """A baseline lacks what it predicts from."""


def unit_scores(train: Sequence[VideoRows]) -> np.ndarray:
    """The scores of labelled videos on the unit scale, float64, shape ``(n,)``."""
    return np.array([entry.unit_mos for entry in train], dtype=np.float64)


def least_squares(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Predicts by ordinary least squares; the features are expected to hold their own constant."""
    weights = np.linalg.lstsq(train_x, train_y, rcond=None)[0]
    return np.asarray(x @ weights)


def ridge(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Standardises, fits ridge regression (the penalty by leave-one-out), and predicts.

    Args:
        train_x: features, shape ``(n, d)``, n ≥ 2.
        train_y: scores, shape ``(n,)``.
        x: features of what is to be scored, shape ``(m, d)``.

    Returns:
        float64, shape ``(m,)``.
    """
    return np.asarray(make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS)).fit(train_x, train_y).predict(x))
