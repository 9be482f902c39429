"""Ridge regression on statistics of the stored pixels: what can be seen without a network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.progress import track
from pipeline.evaluation.baselines.shared.fitting import ridge, unit_scores
from pipeline.students.data.rows import AlignedData, VideoRows
from pipeline.students.shared.clip_statistics import clip_statistics


def predict(
    train: Sequence[VideoRows], test: Sequence[VideoRows], data: AlignedData, data_root: Path
) -> np.ndarray | None:
    """Ridge regression on `clip_statistics`, the mean over a video's views."""
    features = []
    with track("evaluate: hand features", len(train) + len(test)) as advance:
        for entry in [*train, *test]:
            clips = data.clips.read(data.view_set, entry.rows)
            features.append(np.mean([clip_statistics(clip) for clip in clips], axis=0))
            advance()
    return ridge(np.stack(features[: len(train)]), unit_scores(train), np.stack(features[len(train) :]))
