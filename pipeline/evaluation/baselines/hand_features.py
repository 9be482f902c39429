"""Ridge on simple statistics of the stored pixels, without a network."""

from collections.abc import Sequence

import numpy as np

from pipeline.core.progress import track
from pipeline.students.data.rows import AlignedData, VideoRows
from pipeline.students.shared.clip_statistics import clip_statistics


def hand_features(data: AlignedData, entries: Sequence[VideoRows]) -> np.ndarray:
    """`clip_statistics` of the stored pixels, the mean over a video's views.

    Args:
        data: the run's rows.
        entries: the videos.

    Returns:
        float64, shape ``(n, 69)``.
    """
    features = []
    with track("evaluate: hand features", len(entries)) as advance:
        for entry in entries:
            clips = data.clips.read(data.view_set, entry.rows)
            features.append(np.mean([clip_statistics(clip) for clip in clips], axis=0))
            advance()
    return np.stack(features)
