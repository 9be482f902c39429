"""Videos of different splits that look alike to the teacher: perhaps copies, which a digest of their bytes cannot tell.

Copies of one video, packed or encoded anew, have other bytes and nearly the same embedding. The embeddings are in the
cache already, so looking costs a second. What is found is for a person to judge, and no number depends on it.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_chunked

from cache.store import OK, open_store
from pipeline.core.manifest import read_labels

NEAR = 0.05
"""Distance below which two videos are named, where 1.4 is usual between two contents. Of the embedded data set the
nearest two contents are at 0.27, and the nearest two encodes of one content at 0.20."""
_KINDS = ("embedding", "embedding_normed")
_SHOWN = 20
_MEBIBYTES_AT_ONCE = 256


def near_duplicates(targets: Path, labels: Path) -> list[str]:
    """Names pairs of videos in different splits, and of different contents, that look alike.

    Args:
        targets: the target store.
        labels: ``labels.csv``.

    Returns:
        A line per pair, the nearest first and 20 at most; empty where there is none, or no embedding is stored.
    """
    store = open_store(targets)
    kind = next((kind for kind in _KINDS if kind in store.arrays), None)
    rows = np.flatnonzero(store.status == OK)
    if kind is None or not rows.size:
        return []
    by_id = {label.video_id: label for label in read_labels(labels)}
    firsts = [row for row in rows[:: store.views_per_video].tolist() if store.video_ids[row] in by_id]
    found = [by_id[store.video_ids[row]] for row in firsts]
    views = np.add.outer(np.array(firsts, np.int64), np.arange(store.views_per_video))
    values = store.read(kind, views.ravel()).astype(np.float64)
    means = values.reshape(*views.shape, -1).mean(axis=1)
    pairs = _near(means, np.array([label.split for label in found]))
    lines = [
        f"{found[one].video_id} ({found[one].split}) and {found[other].video_id} ({found[other].split}) look alike to "
        f"the teacher (distance {distance:.3f}); if one is a copy of the other, give them one content"
        for distance, one, other in pairs
        if found[one].content != found[other].content
    ]
    return lines[:_SHOWN]


def _near(embeddings: NDArray[np.float64], splits: NDArray[np.str_]) -> list[tuple[float, int, int]]:
    """Distance and places of the near pairs across splits, the nearest first.

    Args:
        embeddings: ``videos d``.
        splits: of each video.
    """
    spread = embeddings.std(axis=0)
    units = (embeddings - embeddings.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if not units.shape[1]:
        return []
    pairs, start = [], 0
    for distances in pairwise_distances_chunked(units / np.sqrt(units.shape[1]), working_memory=_MEBIBYTES_AT_ONCE):
        near = (distances < NEAR) & (splits[start : start + len(distances), None] < splits[None])
        pairs += [(float(distances[one, other]), start + int(one), int(other)) for one, other in np.argwhere(near)]
        start += len(distances)
    return sorted(pairs)
