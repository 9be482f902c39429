"""How well predictions agree with opinion scores: rank and linear correlation, error, and their intervals.

PLCC and RMSE are in use in incompatible forms, so each name here says which form it is: ``_raw`` compares the numbers
as they are, ``_logistic4`` first maps the predictions through the fitted 4-parameter logistic of VQEG. Nothing here
clips, rescales or drops a value.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import optimize, special, stats

from pipeline.errors import PipelineError

NUM_LOGISTIC_PARAMETERS = 4


class MetricError(PipelineError):
    """The predictions or scores cannot be compared: wrong shapes, too few, or not finite."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What ``results/evaluate/metrics.json`` holds for one predictor; correlations are NaN where a side is constant."""

    srcc: float
    srcc_low: float
    srcc_high: float
    krcc: float
    plcc_raw: float
    plcc_logistic4: float
    rmse_raw: float
    rmse_logistic4: float

    def as_numbers(self) -> dict[str, float]:
        """The values by name, with 0 for an undefined correlation: a constant orders nothing, and JSON has no NaN."""
        return {name: float(value) if np.isfinite(value) else 0.0 for name, value in asdict(self).items()}


def srcc(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Spearman's rank correlation; ties get their mean rank.

    Args:
        prediction: predicted scores, shape ``(n,)``, n ≥ 2, finite.
        mos: true scores, same shape.

    Returns:
        A value in −1 … 1; NaN when either side is constant.

    Raises:
        MetricError: shapes differ, n < 2, or a value is not finite.
    """
    prediction, mos = _checked(prediction, mos)
    return _pearson(stats.rankdata(prediction), stats.rankdata(mos))


def krcc(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Kendall's tau-b; arguments, result and errors as for `srcc`."""
    prediction, mos = _checked(prediction, mos)
    return float(stats.kendalltau(prediction, mos).statistic)


def plcc_raw(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Pearson's correlation of the numbers as they are; arguments, result and errors as for `srcc`."""
    return _pearson(*_checked(prediction, mos))


def rmse_raw(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Root mean squared error of the numbers as they are, in units of ``mos``; arguments and errors as for `srcc`."""
    prediction, mos = _checked(prediction, mos)
    return float(np.sqrt(np.mean((prediction - mos) ** 2)))


def plcc_logistic4(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Pearson's correlation after `logistic4`; NaN when a side is constant."""
    mapped = logistic4(prediction, mos)
    return _pearson(mapped, np.asarray(mos, dtype=np.float64))


def rmse_logistic4(prediction: np.ndarray, mos: np.ndarray) -> float:
    """Root mean squared error after `logistic4`, in units of ``mos``."""
    return rmse_raw(logistic4(prediction, mos), mos)


def logistic4(prediction: np.ndarray, mos: np.ndarray) -> np.ndarray:
    """Maps predictions to scores by the least-squares 4-parameter logistic.

    ``ŷ = β2 + (β1 − β2) / (1 + exp(−(x − β3) / |β4|))``, started at β = (max y, min y, mean x, 0.5). The fit runs from
    that start and from the same start on standardised x, and the better one counts, so that the result hardly depends
    on the unit of x.

    Args:
        prediction: predicted scores, shape ``(n,)``, finite.
        mos: true scores, same shape.

    Returns:
        Mapped predictions, float64, shape ``(n,)``. With fewer than five points, or when no fit converges, the
        least-squares line is used; a constant prediction maps to the mean score.

    Raises:
        MetricError: as for `srcc`.

    Ref: VQEG FR-TV phase I/II final reports; the form used in recent video-quality papers.
    """
    x, y = _checked(prediction, mos)
    if np.ptp(x) == 0.0:
        return np.full_like(y, y.mean())
    line = np.polyval(np.polyfit(x - x.mean(), y, 1), x - x.mean())
    if len(x) <= NUM_LOGISTIC_PARAMETERS:
        return line
    candidates = [fit for fit in (_fit_logistic4(x, y), _fit_logistic4((x - x.mean()) / x.std(), y)) if fit is not None]
    return min([*candidates, line], key=lambda mapped: float(np.sum((mapped - y) ** 2)))


def bootstrap_srcc(
    prediction: np.ndarray, mos: np.ndarray, contents: Sequence[str], *, num_resamples: int, seed: int
) -> Interval:
    """SRCC with a 95 % percentile interval over *contents*.

    Encodes of one source are not independent, so whole contents are drawn with replacement; resamples in which the
    SRCC is undefined are left out.

    Args:
        prediction: predicted scores, shape ``(n,)``, finite.
        mos: true scores, same shape.
        contents: the source content of each row.
        num_resamples: number of draws.
        seed: of the draws; the same seed gives the same interval.

    Returns:
        The SRCC of all rows and its bounds; the bounds are NaN when no resample defines an SRCC.

    Raises:
        MetricError: as for `srcc`, or ``contents`` has another length.
    """
    prediction, mos = _checked(prediction, mos)
    draws = [srcc(prediction[rows], mos[rows]) for rows in _resamples(contents, len(mos), num_resamples, seed)]
    low, high = _percentiles(draws)
    return Interval(value=srcc(prediction, mos), low=low, high=high)


def paired_bootstrap_srcc(
    first: np.ndarray, second: np.ndarray, mos: np.ndarray, contents: Sequence[str], *, num_resamples: int, seed: int
) -> Interval:
    """SRCC of ``first`` minus SRCC of ``second`` on the same rows, with a 95 % interval over resampled contents.

    Args:
        first: predicted scores of one predictor, shape ``(n,)``, finite.
        second: those of the other, same rows.
        mos: true scores.
        contents: the source content of each row.
        num_resamples: number of draws.
        seed: of the draws.

    Raises:
        MetricError: as for `bootstrap_srcc`.
    """
    first, mos = _checked(first, mos)
    second, mos = _checked(second, mos)
    draws = [
        srcc(first[rows], mos[rows]) - srcc(second[rows], mos[rows])
        for rows in _resamples(contents, len(mos), num_resamples, seed)
    ]
    low, high = _percentiles(draws)
    return Interval(value=srcc(first, mos) - srcc(second, mos), low=low, high=high)


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Mean of ``first − second`` over paired runs (the same seeds) with a 95 % Student-t interval.

    Args:
        first: one value per seed.
        second: the other variant's values, in the same order of seeds.

    Returns:
        The mean difference and its bounds; the bounds are NaN with fewer than two pairs.

    Raises:
        MetricError: the lengths differ or are 0.
    """
    if len(first) != len(second) or not len(first):
        raise MetricError(f"got {len(first)} and {len(second)} values; expected equally many, at least 1 of each")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    mean = float(differences.mean())
    if len(differences) < 2:
        return Interval(value=mean, low=float("nan"), high=float("nan"))
    half = float(stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences)))
    return Interval(value=mean, low=mean - half, high=mean + half)


def score_predictions(
    prediction: np.ndarray, mos: np.ndarray, contents: Sequence[str], *, num_resamples: int, seed: int
) -> Scores:
    """All metrics of one predictor; arguments and errors as for `bootstrap_srcc`."""
    interval = bootstrap_srcc(prediction, mos, contents, num_resamples=num_resamples, seed=seed)
    mapped = logistic4(prediction, mos)
    return Scores(
        srcc=interval.value,
        srcc_low=interval.low,
        srcc_high=interval.high,
        krcc=krcc(prediction, mos),
        plcc_raw=plcc_raw(prediction, mos),
        plcc_logistic4=_pearson(mapped, np.asarray(mos, dtype=np.float64)),
        rmse_raw=rmse_raw(prediction, mos),
        rmse_logistic4=rmse_raw(mapped, mos),
    )


def _checked(prediction: np.ndarray, mos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(prediction, dtype=np.float64), np.asarray(mos, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise MetricError(f"got predictions of shape {x.shape} and scores of shape {y.shape}; expected two equal (n,)")
    if len(x) < 2:
        raise MetricError(f"got {len(x)} prediction(s); a correlation needs at least 2")
    for name, values in (("prediction", x), ("score", y)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise MetricError(
                f"{len(bad)} of {len(values)} {name}s are not finite, the first at row {bad[0]}; remove or mend them"
            )
    return x, y


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(np.dot(x, y) / norm, -1.0, 1.0)) if norm > 0.0 else float("nan")


def _logistic(x: np.ndarray, top: float, bottom: float, middle: float, width: float) -> np.ndarray:
    return bottom + (top - bottom) * special.expit((x - middle) / max(abs(width), 1e-12))


def _fit_logistic4(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """The fitted curve at ``x``, or None when the fit does not converge."""
    start = (float(y.max()), float(y.min()), float(x.mean()), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optimize.OptimizeWarning)
        try:
            parameters, _ = optimize.curve_fit(_logistic, x, y, p0=start, method="trf", max_nfev=2000)
        except RuntimeError:
            return None
    mapped = _logistic(x, *parameters)
    return mapped if np.isfinite(mapped).all() else None


def _resamples(contents: Sequence[str], num_rows: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """One draw of contents after the other, as the rows of all of them: never all draws in RAM at once."""
    if len(contents) != num_rows:
        raise MetricError(f"got {len(contents)} contents for {num_rows} rows; expected one per row")
    names, groups = np.unique(np.asarray(contents, dtype=str), return_inverse=True)
    rows_of = [np.flatnonzero(groups == index) for index in range(len(names))]
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(names), size=(num_resamples, len(names)))
    for draw in draws:
        rows = np.concatenate([rows_of[index] for index in draw])
        if len(rows) >= 2:
            yield rows


def _percentiles(draws: Sequence[float]) -> tuple[float, float]:
    defined = np.asarray([draw for draw in draws if np.isfinite(draw)])
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
