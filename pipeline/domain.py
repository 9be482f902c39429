"""Whether a video resembles those a student was trained on: how far its embedding lies from theirs.

The training embeddings are described by their mean, their strongest directions with the deviation along each, and one
deviation for all the others (probabilistic principal components). The distance is the root mean square of an
embedding's deviations, so that a training video lies at about 1; the threshold is the 95th percentile on the validation
split, or the greatest distance there where it has twenty videos or fewer.

What it catches is content whose embedding is unlike; a student that maps strange pixels to familiar embeddings does not
notice them.

Ref: Tipping and Bishop, "Probabilistic principal component analysis" (JRSS B 1999); Lee et al., "A simple unified
framework for detecting out-of-distribution samples" (NeurIPS 2018) for the Mahalanobis distance of embeddings. Left
out: distances in several layers, and a class for each quality.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_VIDEOS = 512
"""More training videos than this are thinned out evenly: the mean and the directions no longer change much."""
_MOST_DIRECTIONS = 16
_SMALLEST_DEVIATION = 1e-6
_QUANTILE = 0.95


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Where the training embeddings lie.

    Attributes:
        mean: float64 ``(d,)``.
        directions: float64 ``(k, d)``, orthonormal.
        deviations: float64 ``(k,)``, along each of them.
        other_deviation: along any other direction.
        threshold: a distance beyond which a video is out of the domain.
        num_videos: how many training videos are described.
        num_validation: how many videos chose the threshold.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    deviations: NDArray[np.float64]
    other_deviation: float
    threshold: float
    num_videos: int
    num_validation: int

    def distance(self, embeddings: NDArray[Any]) -> NDArray[np.float64]:
        """How far embeddings lie from the training videos'.

        Args:
            embeddings: float ``(n, d)``, each the mean over a video's views.

        Returns:
            float64 ``(n,)``; about 1 for a training video.
        """
        centred = np.asarray(embeddings, np.float64) - self.mean
        along = centred @ self.directions.T
        rest = np.square(centred).sum(axis=1) - np.square(along).sum(axis=1)
        squares = np.square(along / self.deviations).sum(axis=1) + np.maximum(rest, 0) / self.other_deviation**2
        return np.asarray(np.sqrt(squares / len(self.mean)))

    def as_dict(self) -> dict[str, Any]:
        """As stored in a student's ``config.json``; arrays are base64 of little-endian float32."""
        return {
            "mean": _to_text(self.mean),
            "directions": _to_text(self.directions),
            "deviations": _to_text(self.deviations),
            "other_deviation": self.other_deviation,
            "threshold": self.threshold,
            "num_videos": self.num_videos,
            "num_validation": self.num_validation,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Domain":
        """Reads what ``as_dict`` gave."""
        mean = _from_text(values["mean"])
        arrays = {"mean": mean, "directions": _from_text(values["directions"]).reshape(-1, len(mean))}
        return cls(**{**values, **arrays, "deviations": _from_text(values["deviations"])})


def fit_domain(training: NDArray[Any], validation: NDArray[Any]) -> Domain:
    """Describes training embeddings and chooses the threshold.

    Args:
        training: float ``(n, d)``, one per training video, at least 2.
        validation: float ``(m, d)``, at least 1.
    """
    embeddings = np.asarray(training, np.float64)
    num_videos, width = embeddings.shape
    mean = embeddings.mean(axis=0)
    _, lengths, vectors = np.linalg.svd(embeddings - mean, full_matrices=False)
    count = max(1, min(_MOST_DIRECTIONS, num_videos // 4, width - 1))
    variances = np.square(lengths) / max(num_videos - 1, 1)
    other = float(np.sqrt(variances[count:].sum() / (width - count)))
    values: dict[str, Any] = {
        "mean": _stored(mean),
        "directions": _stored(vectors[:count]),
        "deviations": np.maximum(_stored(np.sqrt(variances[:count])), _SMALLEST_DEVIATION),
        "other_deviation": max(other, _SMALLEST_DEVIATION),
        "num_videos": num_videos,
        "num_validation": len(validation),
    }
    distances = Domain(**values, threshold=0.0).distance(validation)
    return Domain(**values, threshold=float(np.quantile(distances, _QUANTILE, method="higher")))


def _stored(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """With the precision that ``config.json`` keeps, so that a loaded domain is the one that was fitted."""
    return values.astype(np.float32).astype(np.float64)


def _to_text(values: NDArray[np.float64]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _from_text(text: str) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
