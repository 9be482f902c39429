"""Rank correlation of predictions and opinion scores, and its intervals, which training and evaluation share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.core.errors import PipelineError


class MetricError(PipelineError):
    """The predictions or scores cannot be compared: wrong shapes, too few, or not finite."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


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
    prediction, mos = checked_pair(prediction, mos)
    return pearson(stats.rankdata(prediction), stats.rankdata(mos))


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
    prediction, mos = checked_pair(prediction, mos)
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
    first, mos = checked_pair(first, mos)
    second, mos = checked_pair(second, mos)
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


def checked_pair(prediction: np.ndarray, mos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 of shape ``(n,)``.

    Raises:
        MetricError: shapes differ, n < 2, or a value is not finite.
    """
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


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson\'s correlation, a value in −1 … 1; NaN when either side is constant."""
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(np.dot(x, y) / norm, -1.0, 1.0)) if norm > 0.0 else float("nan")


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
