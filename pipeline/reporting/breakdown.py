"""Where the predictions are good and where not: by codec, by level, by predicted score, and the worst of all."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import logistic4, rmse_raw, srcc
from pipeline.reporting.predictions import Prediction

_MIN_VIDEOS_FOR_SRCC = 5
_MAX_DISTINCT_LEVELS = 6
_NUM_BANDS = 4
_NUMBER = re.compile(r"^\D*?(-?\d+(?:\.\d+)?)\D*$")
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The agreement within a group of test videos.

    Attributes:
        codec: of the group.
        levels: the level, or the range of levels; empty when the group spans all.
        middle: mean level as a number; None where levels are words.
        num_videos: in the group.
        mean_mos: mean true score.
        mean_prediction: mean of the student's.
        bias: mean of predicted minus true.
        rmse: root mean squared error of the predictions as they are.
        srcc: rank correlation; None for fewer than five videos or when a side is constant.
    """

    codec: str
    levels: str
    middle: float | None
    num_videos: int
    mean_mos: float
    mean_prediction: float
    bias: float
    rmse: float
    srcc: float | None


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Test videos with alike predictions: what was predicted and what was true, with a 95 % interval of the mean."""

    mean_prediction: float
    mean_mos: float
    low: float
    high: float
    num_videos: int


def level_number(level: str) -> float | None:
    """The one number in a level such as ``27``, ``crf27`` or ``QP 22``; None where there is none, or several."""
    match = _NUMBER.match(level)
    return float(match.group(1)) if match else None


def codecs_of(predictions: Sequence[Prediction]) -> list[str]:
    """The codecs, sorted; an empty name reads ``unknown``."""
    return sorted({prediction.codec or UNKNOWN for prediction in predictions})


def by_codec(predictions: Sequence[Prediction]) -> list[Group]:
    """One group per codec, sorted by name."""
    return [
        _group(codec, "", None, [row for row in predictions if (row.codec or UNKNOWN) == codec])
        for codec in codecs_of(predictions)
    ]


def by_level(predictions: Sequence[Prediction]) -> list[Group]:
    """Within each codec, one group per level, or per band of levels when a codec has more than six.

    A level means something within its codec only (a CRF of AV1 is not one of H.264), so codecs are never merged.
    Bands end at the quartiles of the codec's levels. Videos without a level are left out.
    """
    groups = []
    for codec in codecs_of(predictions):
        rows = [row for row in predictions if (row.codec or UNKNOWN) == codec and row.level]
        numbers = [level_number(row.level) for row in rows]
        if rows and None not in numbers:
            groups += _numeric_bands(codec, rows, np.asarray(numbers, dtype=np.float64))
        else:
            names = sorted({row.level for row in rows})
            groups += [_group(codec, name, None, [row for row in rows if row.level == name]) for name in names]
    return groups


def reliability(predictions: Sequence[Prediction], num_bins: int = 10) -> list[Bin]:
    """Splits the videos, ordered by prediction, into equal parts and compares what was predicted with what was true.

    Args:
        predictions: the test split.
        num_bins: at most this many; fewer when a bin would have under five videos.
    """
    ordered = sorted(predictions, key=lambda row: (row.student, row.video_id))
    num_bins = max(1, min(num_bins, len(ordered) // 5))
    bins = []
    for part in np.array_split(np.arange(len(ordered)), num_bins):
        true = np.asarray([ordered[index].mos for index in part])
        predicted = np.asarray([ordered[index].student for index in part])
        spread = true.std(ddof=1) / math.sqrt(len(true)) if len(true) > 1 else 0.0
        mean = float(true.mean())
        bins.append(
            Bin(
                mean_prediction=float(predicted.mean()),
                mean_mos=mean,
                low=mean - 1.96 * float(spread),
                high=mean + 1.96 * float(spread),
                num_videos=len(true),
            )
        )
    return bins


def worst(
    predictions: Sequence[Prediction], count: int, length_of: Callable[[str], float] = lambda _: 1.0
) -> list[Prediction]:
    """The ``count`` videos with the largest absolute error, the largest first.

    Args:
        predictions: the test split.
        count: how many.
        length_of: data set → length of its scale, so that errors on different scales compare.
    """
    return sorted(predictions, key=lambda row: (-abs(row.error) / length_of(row.dataset), row.video_id))[:count]


def fitted_logistic(prediction: np.ndarray, mos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 4-parameter logistic of the metrics, as a line: distinct predictions in order, and what they map to."""
    if len(prediction) < 2:
        return prediction, mos
    mapped = logistic4(prediction, mos)
    x, first = np.unique(prediction, return_index=True)
    return x, mapped[first]


def _numeric_bands(codec: str, rows: list[Prediction], levels: np.ndarray) -> list[Group]:
    distinct = np.unique(levels)
    if len(distinct) <= _MAX_DISTINCT_LEVELS:
        band = np.searchsorted(distinct, levels)
    else:
        band = np.digitize(levels, np.unique(np.quantile(levels, np.arange(1, _NUM_BANDS) / _NUM_BANDS)))
    groups = []
    for index in np.unique(band):
        chosen = np.flatnonzero(band == index)
        low, high = levels[chosen].min(), levels[chosen].max()
        name = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        groups.append(_group(codec, name, float(levels[chosen].mean()), [rows[row] for row in chosen]))
    return groups


def _group(codec: str, levels: str, middle: float | None, rows: Sequence[Prediction]) -> Group:
    true = np.asarray([row.mos for row in rows])
    predicted = np.asarray([row.student for row in rows])
    rank = srcc(predicted, true) if len(rows) >= _MIN_VIDEOS_FOR_SRCC else math.nan
    return Group(
        codec=codec,
        levels=levels,
        middle=middle,
        num_videos=len(rows),
        mean_mos=float(true.mean()),
        mean_prediction=float(predicted.mean()),
        bias=float((predicted - true).mean()),
        rmse=rmse_raw(predicted, true) if len(rows) > 1 else abs(float(predicted[0] - true[0])),
        srcc=rank if math.isfinite(rank) else None,
    )
