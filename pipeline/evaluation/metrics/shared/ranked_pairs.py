"""The score of the KVQ challenges: how well predictions rank, fit, and order pairs of which people ranked one higher.

It is no metric file, since a metric sees predictions and MOS alone, and this needs pairs of named videos.

Ref: NTIRE 2024 and 2025 challenges on short-form UGC video quality, their ``metric_score.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.agreement import MetricError, pearson, srcc

WEIGHTS = {"srcc": 0.45, "plcc": 0.45, "nonsource": 0.05, "source": 0.05}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two videos, and which of them people ranked higher.

    Attributes:
        first: its name.
        second: its name.
        better: 1 or 2.
    """

    first: str
    second: str
    better: int


def challenge_score(
    prediction: Mapping[str, float], mos: Mapping[str, float], pairs: Mapping[str, Sequence[Pair]]
) -> dict[str, float]:
    """The challenge's score and its four parts.

    Args:
        prediction: video → predicted quality.
        mos: video → opinion score; of the same videos.
        pairs: ``nonsource`` (of different uploads) and ``source`` (of one) → pairs of these videos.

    Returns:
        ``score``, ``srcc``, ``plcc`` and the share of pairs in the right order, ``nonsource`` and ``source``.

    Raises:
        MetricError: a video of a pair has no prediction, or one of the two lists of pairs is missing.
    """
    names = sorted(mos)
    unknown = {name for kind in pairs.values() for pair in kind for name in (pair.first, pair.second)} - set(prediction)
    absent = [kind for kind in ("nonsource", "source") if not pairs.get(kind)]
    if unknown or absent or set(names) - set(prediction):
        raise MetricError(
            f"got no prediction for {sorted(unknown | (set(names) - set(prediction)))[:3]}, no pairs of {absent}; "
            "expected a prediction for every video, and both lists of pairs"
        )
    x, y = (np.array([values[name] for name in names]) for values in (prediction, mos))
    parts = {"srcc": srcc(x, y), "plcc": pearson(x, y)}
    for kind in ("nonsource", "source"):
        right = [(1 if prediction[pair.first] >= prediction[pair.second] else 2) == pair.better for pair in pairs[kind]]
        parts[kind] = float(np.mean(right))
    return {"score": sum(weight * parts[name] for name, weight in WEIGHTS.items()), **parts}
