"""From a student's raw score to the scale of opinion scores: a strictly monotone logistic, fitted on validation.

``mos = low + (high − low) / (1 + exp(−(slope · score + offset)))`` with ``slope > 0`` and ``low < high``, so that the
order of videos, and with it every rank correlation, is untouched.

A score's interval is split-conformal: it reaches as many times the video's own uncertainty (spread over views and
validation residuals) to either side as covers 95 % of the validation videos, counted with the finite-sample correction.
For a new video that is exchangeable with them it holds the opinion score with probability 0.95 or more, whatever the
shape of the errors. Residuals come from curves fitted without the video's content. What is left out: the epoch was
chosen on the same split, and videos of one content err alike, so that what one student's intervals cover varies more
about 95 % than with as many independent videos.

Ref: Papadopoulos et al., "Inductive confidence machines for regression" (ECML 2002); Lei et al., "Distribution-free
predictive inference for regression" (JASA 2018), section 5.2 for errors divided by a spread.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import special

from pipeline.core.errors import PipelineError
from pipeline.core.manifest import ScoreScale

_MARGIN = 0.25
"""How far, in lengths of the scale, the asymptotes may lie outside it."""
_MIN_SLOPE = 0.05
_MAX_SLOPE = 4.0
"""Per standard deviation of the scores; a steeper curve is a step, and calls everything either good or bad."""
_MAX_EXPONENT = 20.0
"""Beyond it a logistic in float64 is all but its asymptote, so the curve goes on as its own tangent."""
COVERAGE = 0.95
"""Share of videos whose opinion score an interval is to hold."""
_FOLDS = 5
_SMALLEST_SPREAD = 1e-6
"""Of a video's uncertainty, as a share of the scale."""


class CalibrationError(PipelineError):
    """There is nothing to fit a calibration on."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted curve, with what it was fitted on.

    Attributes:
        low: lower asymptote, in MOS.
        high: upper asymptote, in MOS; above `low`.
        slope: per unit of raw score, above 0.
        offset: added to the scaled score.
        residual_std: root mean square of the validation residuals, in MOS.
        interval_factor: how many times its uncertainty a score's interval reaches to either side; None where
            validation has too few videos (fewer than 19) to say, and the interval is the scale.
        dataset: whose opinion scores these are.
        score_name: what the scores are, such as ``MOS``.
        scale_low: worst value of the scale.
        scale_high: best value of the scale; higher is better throughout.
        num_videos: how many validation videos were used.
        num_contents: of how many contents they are.
    """

    low: float
    high: float
    slope: float
    offset: float
    residual_std: float
    interval_factor: float | None
    dataset: str
    score_name: str
    scale_low: float
    scale_high: float
    num_videos: int
    num_contents: int

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """Maps raw scores to MOS.

        Args:
            score: any shape, float.

        Returns:
            float64, same shape, strictly increasing in ``score``.
        """
        return _curve(np.asarray(score, dtype=np.float64), self.low, self.high, self.slope, self.offset)

    def interval(self, score: float, variance: float) -> tuple[float, float]:
        """Where a video's opinion score lies with a probability of 95 %.

        Args:
            score: of the video, in MOS.
            variance: of ``score`` over views, in MOS²; see `view_variance`.

        Returns:
            Its ends, inside the scale unless the score itself is outside.
        """
        factor = math.inf if self.interval_factor is None else self.interval_factor
        reach = factor * math.sqrt(max(variance + self.residual_std**2, self._smallest_variance))
        return max(score - reach, min(score, self.scale_low)), min(score + reach, max(score, self.scale_high))

    @property
    def scale(self) -> ScoreScale:
        """Of the opinion scores."""
        return ScoreScale(score_name=self.score_name, low=self.scale_low, high=self.scale_high)

    @property
    def _smallest_variance(self) -> float:
        return (_SMALLEST_SPREAD * self.scale.length) ** 2

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, as stored in a student's ``config.json``."""
        return asdict(self)


def view_variance(view_scores: np.ndarray) -> float:
    """Variance of a mean over views.

    Args:
        view_scores: calibrated, one per view, shape ``(v,)``.

    Returns:
        In MOS²; 0 for a single view, which has none.
    """
    return float(view_scores.var(ddof=1) / len(view_scores)) if len(view_scores) > 1 else 0.0


def fit_calibration(
    view_scores: Sequence[np.ndarray] | np.ndarray,
    mos: np.ndarray,
    *,
    contents: Sequence[str] | None = None,
    dataset: str,
    score_name: str,
    scale_low: float,
    scale_high: float,
) -> Calibration:
    """Fits the curve by least squares, and the factor of the intervals on residuals of curves that did not see them.

    Args:
        view_scores: of each validation video, the raw scores of its views, shape ``(v,)``, finite; or one number.
        mos: their opinion scores, shape ``(n,)``.
        contents: of each video its content; None where every video is its own.
        dataset: whose scores these are.
        score_name: what the scores are called.
        scale_low: worst value of the scale.
        scale_high: best value of the scale.

    Returns:
        The calibration. The slope stays above 0 even where score and MOS do not go together, since a student's order of
        videos is not a matter of calibration.

    Raises:
        CalibrationError: there are fewer than two videos, or a value is not finite.
    """
    views = [np.atleast_1d(np.asarray(scores, dtype=np.float64)) for scores in view_scores]
    x = np.array([scores.mean() for scores in views])
    scale = ScoreScale(score_name=score_name, low=scale_low, high=scale_high)
    y = scale.to_unit(np.asarray(mos, dtype=np.float64))
    if len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise CalibrationError(
            f"{dataset}: got {len(x)} validation videos with a score; a calibration needs at least 2, all finite; "
            "give the validation split labelled videos"
        )
    names = [str(number) for number in range(len(x))] if contents is None else list(contents)
    curve = _fit(x, y)
    residuals = y - _held_out(x, y, names)
    spread = np.array([view_variance(_curve(scores, *curve)) for scores in views])
    low, high, slope, offset = curve
    return Calibration(
        low=scale.from_unit(low),
        high=scale.from_unit(high),
        slope=slope,
        offset=offset,
        residual_std=float(np.sqrt(np.mean(residuals**2)) * scale.length),
        interval_factor=_conformal_factor(residuals, spread),
        dataset=dataset,
        score_name=score_name,
        scale_low=scale_low,
        scale_high=scale_high,
        num_videos=len(x),
        num_contents=len(set(names)),
    )


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Asymptotes, slope and offset of the curve on the unit scale."""
    from scipy import optimize  # here, since scoring needs none

    centre, spread = float(x.mean()), float(x.std()) or 1.0

    def residuals(parameters: np.ndarray) -> np.ndarray:
        bottom, top, slope, offset = parameters
        return np.asarray(bottom + (top - bottom) * special.expit(slope * (x - centre) / spread + offset) - y)

    fit = optimize.least_squares(
        residuals,
        x0=[-_MARGIN / 2, 1.0 + _MARGIN / 2, 1.0, 0.0],
        bounds=([-_MARGIN, 0.75, _MIN_SLOPE, -_MAX_EXPONENT / 3], [0.25, 1.0 + _MARGIN, _MAX_SLOPE, _MAX_EXPONENT / 3]),
    )
    bottom, top, slope, offset = (float(value) for value in fit.x)
    return bottom, top, slope / spread, offset - slope * centre / spread


def _held_out(x: np.ndarray, y: np.ndarray, contents: Sequence[str]) -> np.ndarray:
    """What curves say that were fitted without the video's content; the plain fit where there is one content only."""
    ordered = {name: number for number, name in enumerate(sorted(set(contents)))}
    fold = np.array([ordered[name] % _FOLDS for name in contents])
    if len(ordered) < 2:
        return _curve(x, *_fit(x, y))
    held_out = np.empty(len(x))
    for number in np.unique(fold):
        inside = fold == number
        held_out[inside] = _curve(x[inside], *_fit(x[~inside], y[~inside]))
    return held_out


def _conformal_factor(residuals: np.ndarray, variances: np.ndarray) -> float | None:
    """The factor that covers ⌈(n + 1) · 95 %⌉ of the n residuals; None where that is more than n."""
    spread = np.sqrt(np.maximum(variances + np.mean(residuals**2), _SMALLEST_SPREAD**2))
    rank = math.ceil((len(residuals) + 1) * COVERAGE)
    return float(np.sort(np.abs(residuals) / spread)[rank - 1]) if rank <= len(residuals) else None


def _curve(x: np.ndarray, low: float, high: float, slope: float, offset: float) -> np.ndarray:
    z = slope * x + offset
    inside = np.clip(z, -_MAX_EXPONENT, _MAX_EXPONENT)
    edge = float(special.expit(-_MAX_EXPONENT))
    return low + (high - low) * (special.expit(inside) + edge * (z - inside))
