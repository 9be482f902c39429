"""The score of a video, and how the values of its curve are pooled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.manifest import ScoreScale

_HARMONIC_STEPS = 100.0
"""The scale counts 0 … 100 for the harmonic mean, in which VMAF adds 1 to every value."""


@dataclass(frozen=True, kw_only=True)
class SegmentScore:
    """A part of a video.

    Attributes:
        start_seconds: where it begins.
        stop_seconds: where the next one begins.
        score: in MOS.
        low: end of the 95 % interval.
        high: end of the 95 % interval.
        view_scores: in MOS, one per view.
    """

    start_seconds: float
    stop_seconds: float
    score: float
    low: float
    high: float
    view_scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class WindowScore:
    """A point of the curve: the score of a window's centred view, in MOS."""

    start_seconds: float
    stop_seconds: float
    score: float


@dataclass(frozen=True, kw_only=True)
class VideoScore:
    """A video's score.

    Attributes:
        score: in MOS, as the student was calibrated; the mean over segments.
        low: end of the interval in which 95 of 100 opinion scores of such videos are expected: spread over views and
            the residuals of validation.
        high: the other end.
        mean: of the curve, in MOS.
        harmonic_mean: of the curve; bad parts weigh more. As VMAF's, on the scale as 0 … 100.
        percentile_5: of the curve: the worst parts.
        view_scores: per view, in MOS, the mean over segments.
        segments: in order.
        curve: in order.
        domain_distance: from the training videos, by embedding and pixel statistics, about 1 for one of them; None
            where the student does not know.
        out_of_domain: whether that is beyond the threshold; then the score deserves little trust.
        dataset: whose scale it is.
        score_name: such as ``MOS``.
        scale: of the scores.
        width: in px.
        height: in px.
        fps: frames per second.
        num_frames: exact.
        sha256: of the file.
        decoder: name and version.
        notes: what else is to be known of the video: interlaced, variable rate, HDR without tone mapping, …
        model: the beginning of a SHA-256 over the weights.
    """

    score: float
    low: float
    high: float
    mean: float
    harmonic_mean: float
    percentile_5: float
    view_scores: tuple[float, ...]
    segments: tuple[SegmentScore, ...]
    curve: tuple[WindowScore, ...]
    domain_distance: float | None
    out_of_domain: bool | None
    dataset: str
    score_name: str
    scale_low: float
    scale_high: float
    width: int
    height: int
    fps: float
    num_frames: int
    sha256: str
    decoder: str
    model: str
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.num_frames / self.fps


def harmonic_mean(values: NDArray[np.float64], scale: ScoreScale) -> float:
    """VMAF's harmonic mean: 1 / mean(1 / (x + 1)) - 1, with the scale as x = 0 … 100.

    Args:
        values: in MOS; below the scale's worst value they count as it.
        scale: of the scores.

    Returns:
        In MOS; at most the arithmetic mean of the values inside the scale.
    """
    steps = np.maximum(scale.to_unit(values), 0.0) * _HARMONIC_STEPS
    mean = 1.0 / np.mean(1.0 / (steps + 1.0)) - 1.0
    return scale.from_unit(float(mean / _HARMONIC_STEPS))
