"""How well predictions agree with opinion scores: rank and linear correlation, error, and their intervals.

PLCC and RMSE are in use in incompatible forms, so each name here says which form it is: ``_raw`` compares the numbers
as they are, ``_logistic4`` first maps the predictions through the fitted 4-parameter logistic of VQEG. Nothing here
clips, rescales or drops a value.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.core.agreement import bootstrap_srcc, pearson
from pipeline.evaluation.metrics.krcc import krcc
from pipeline.evaluation.metrics.plcc_raw import plcc_raw
from pipeline.evaluation.metrics.rmse_raw import rmse_raw
from pipeline.evaluation.metrics.shared.logistic import logistic4


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
        plcc_logistic4=pearson(mapped, np.asarray(mos, dtype=np.float64)),
        rmse_raw=rmse_raw(prediction, mos),
        rmse_logistic4=rmse_raw(mapped, mos),
    )
