"""Ridge regression on the teacher's cached embeddings: what the cached targets hold.

It is no student: it needs the teacher's embedding of the very video that it scores.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.evaluation.baselines.shared.fitting import ridge, unit_scores
from pipeline.students.data.rows import AlignedData, VideoRows

_KIND = "embedding_normed"


def predict(
    train: Sequence[VideoRows], test: Sequence[VideoRows], data: AlignedData, data_root: Path
) -> np.ndarray | None:
    """Ridge regression on `embeddings`."""
    return ridge(embeddings(data, train), unit_scores(train), embeddings(data, test))


def embeddings(data: AlignedData, entries: Sequence[VideoRows]) -> np.ndarray:
    """One vector per video, the mean over its views, float64, shape ``(n, d)``."""
    target = data.cached.whole(_KIND).astype(np.float64)
    return np.stack([target[entry.rows].mean(axis=0) for entry in entries])
