"""Where the predictions are good and where not: by codec, by level, by predicted score, and the worst of all."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.core.agreement import srcc
from pipeline.evaluation.metrics.rmse_raw import rmse_raw
from pipeline.reporting.panels.shared.svg import MUTED, Marker, draw
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


def level_errors(key: str, groups: Sequence[Group], markers: Mapping[str, Marker]) -> Markup | None:
    """Mean error of the student by level, one line per codec; None where no codec has two numeric levels."""
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if group.middle is not None:
            lines.setdefault(group.codec, []).append(group)
    lines = {codec: line for codec, line in lines.items() if len(line) > 1}
    if not lines:
        return None

    def paint(axes: Any) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        for codec, line in lines.items():
            x, y = [group.middle for group in line], [group.bias for group in line]
            axes.plot(x, y, color=markers[codec].colour, marker=markers[codec].shape, markersize=5.5)
        axes.set_xlabel("level (each codec's own scale)")
        axes.set_ylabel("mean of predicted − true")

    return draw(key, f"Mean error by level for {', '.join(lines)}", paint)
