"""Whether a video resembles those a student was trained on: how far it lies from them.

A video is described by its embedding and by statistics of its pixels (`video_vector`), each coordinate divided by its
deviation over the training videos. These are described by their mean, their strongest directions with the deviation
along each, and one deviation for all the others (probabilistic principal components). The distance is the root mean
square of a video's deviations, so that a training video lies at about 1; the threshold is the 95th percentile on the
validation split, or the greatest distance there where it has twenty videos or fewer.

The embedding alone is not enough: a student may map strange pixels (noise, colour bars) to familiar embeddings.

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

from pipeline.students.shared.clip_statistics import clip_statistics

MAX_VIDEOS = 512
"""More training videos than this are thinned out evenly: the mean and the directions no longer change much."""
_MOST_DIRECTIONS = 16
_SMALLEST_DEVIATION = 1e-6
_QUANTILE = 0.95


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Where the training videos lie.

    Attributes:
        mean: float64 ``(d,)``.
        scale: float64 ``(d,)``, the deviation of each coordinate.
        directions: float64 ``(k, d)``, orthonormal.
        deviations: float64 ``(k,)``, along each of them.
        other_deviation: along any other direction.
        threshold: a distance beyond which a video is out of the domain.
        num_videos: how many training videos are described.
        num_validation: how many videos chose the threshold.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    directions: NDArray[np.float64]
    deviations: NDArray[np.float64]
    other_deviation: float
    threshold: float
    num_videos: int
    num_validation: int

    def distance(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """How far videos lie from the training videos.

        Args:
            vectors: float ``(n, d)``, each a `video_vector`.

        Returns:
            float64 ``(n,)``; about 1 for a training video.
        """
        centred = (np.asarray(vectors, np.float64) - self.mean) / self.scale
        along = centred @ self.directions.T
        rest = np.square(centred).sum(axis=1) - np.square(along).sum(axis=1)
        squares = np.square(along / self.deviations).sum(axis=1) + np.maximum(rest, 0) / self.other_deviation**2
        return np.asarray(np.sqrt(squares / len(self.mean)))

    def as_dict(self) -> dict[str, Any]:
        """As stored in a student's ``config.json``; arrays are base64 of little-endian float32."""
        return {
            "mean": _to_text(self.mean),
            "scale": _to_text(self.scale),
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
        arrays = {name: _from_text(values[name]) for name in ("scale", "deviations")}
        directions = _from_text(values["directions"]).reshape(-1, len(mean))
        return cls(**{**values, **arrays, "mean": mean, "directions": directions})


def video_vector(embeddings: NDArray[Any], clips: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What a video is described by: embedding and pixel statistics, each the mean over its views.

    Args:
        embeddings: float ``(v, d)``, one per view.
        clips: uint8 ``v t h w c``, the views.

    Returns:
        float64 ``(d + 69,)``.
    """
    statistics = np.mean([clip_statistics(clip) for clip in clips], axis=0)
    return np.concatenate([np.asarray(embeddings, np.float64).mean(axis=0), statistics])


def fit_domain(training: NDArray[Any], validation: NDArray[Any]) -> Domain:
    """Describes training videos and chooses the threshold.

    Args:
        training: float ``(n, d)``, one vector per training video, at least 2.
        validation: float ``(m, d)``, at least 1.
    """
    vectors = np.asarray(training, np.float64)
    num_videos, width = vectors.shape
    mean = _stored(vectors.mean(axis=0))
    scale = np.maximum(_stored(vectors.std(axis=0)), _SMALLEST_DEVIATION)
    _, lengths, axes = np.linalg.svd((vectors - mean) / scale, full_matrices=False)
    count = max(1, min(_MOST_DIRECTIONS, num_videos // 4, width - 1))
    variances = np.square(lengths) / max(num_videos - 1, 1)
    other = float(np.sqrt(variances[count:].sum() / (width - count)))
    values: dict[str, Any] = {
        "mean": mean,
        "scale": _stored(scale),
        "directions": _stored(axes[:count]),
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
