"""Probes: scikit-learn regressors on cached embeddings, fitted in seconds. They show what the cached targets hold.

No probe is a student: each needs the teacher's embedding of the very video it scores.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from pipeline.core.errors import PipelineError
from pipeline.students.data.rows import AlignedData, VideoRows

ALPHAS = np.logspace(-2, 4, 13)
_FOLDS = 5
_GRIDS: Mapping[str, dict[str, list[float]]] = {
    "svr": {"svr__C": [0.3, 1.0, 3.0, 10.0], "svr__epsilon": [0.02, 0.05]},
    "knn": {"kneighborsregressor__n_neighbors": [1, 3, 5, 9, 15]},
}


class ProbeError(PipelineError):
    """A probe cannot be fitted."""


def embeddings(data: AlignedData, entries: Sequence[VideoRows], kind: str = "embedding_normed") -> np.ndarray:
    """One vector per video, the mean over its views.

    Args:
        data: the run's rows.
        entries: the videos.
        kind: which cached target.

    Returns:
        float64, shape ``(n, d)``.
    """
    target = data.target(kind).astype(np.float64)
    return np.stack([target[entry.rows].mean(axis=0) for entry in entries])


def ridge(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Standardises, fits ridge regression (the penalty by leave-one-out), and predicts.

    Args:
        train_x: features, shape ``(n, d)``.
        train_y: scores, shape ``(n,)``.
        x: features of what is to be scored, shape ``(m, d)``.

    Returns:
        float64, shape ``(m,)``.

    Raises:
        ProbeError: fewer than two training videos.
    """
    _check(train_x)
    return np.asarray(make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS)).fit(train_x, train_y).predict(x))


def svr(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Support vector regression with a Gaussian kernel; ``groups`` are contents, else as `ridge`."""
    return _searched("svr", SVR(), train_x, train_y, x, groups)


def knn(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Mean of the nearest training videos, weighted by distance; ``groups`` are contents, else as `ridge`."""
    return _searched("knn", KNeighborsRegressor(weights="distance"), train_x, train_y, x, groups)


def probe_all(data: AlignedData, entries: Sequence[VideoRows], kind: str = "embedding_normed") -> dict[str, np.ndarray]:
    """Every probe's prediction, fitted on the labelled training videos.

    Args:
        data: the run's rows.
        entries: the videos to score.
        kind: which cached target.

    Returns:
        ``ridge``, ``svr`` and ``knn`` → scores on the unit scale, shape ``(n,)``.

    Raises:
        ProbeError: too few labelled training videos or contents.
    """
    train = data.split("train", labelled=True)
    if not train:
        raise ProbeError("there is no labelled training video to fit a probe on; raise prepare.labelled_fraction")
    train_x, x = embeddings(data, train, kind), embeddings(data, entries, kind)
    train_y = np.array([entry.unit_mos for entry in train], dtype=np.float64)
    contents = [entry.label.content for entry in train]
    return {
        "ridge": ridge(train_x, train_y, x),
        "svr": svr(train_x, train_y, x, contents),
        "knn": knn(train_x, train_y, x, contents),
    }


def _searched(
    name: str, regressor: object, train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray, groups: Sequence[str]
) -> np.ndarray:
    """Chooses the settings by cross-validation over contents, then fits and predicts."""
    _check(train_x)
    folds = min(_FOLDS, len(set(groups)))
    if folds < 2:
        raise ProbeError(f"{folds} labelled training content(s); choosing the settings of {name} needs at least 2")
    smallest = len(train_y) - max(len(test) for _, test in GroupKFold(folds).split(train_x, train_y, groups))
    grid = {
        key: [value for value in values if not key.endswith("n_neighbors") or value <= smallest]
        for key, values in _GRIDS[name].items()
    }
    search = GridSearchCV(
        make_pipeline(StandardScaler(), regressor), grid, cv=GroupKFold(folds), scoring="neg_mean_squared_error"
    )
    return np.asarray(search.fit(train_x, train_y, groups=groups).predict(x))


def _check(train_x: np.ndarray) -> None:
    if len(train_x) < 2:
        raise ProbeError(f"got {len(train_x)} labelled training videos; a probe needs at least 2")
