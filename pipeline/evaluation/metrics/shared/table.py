"""One predictor's row of ``results/evaluate/metrics.json``: SRCC with its interval, then every metric of the folder.

PLCC and RMSE are in use in incompatible forms, so each name says which form it is: ``_raw`` compares the numbers as
they are, ``_logistic4`` first maps the predictions through the fitted 4-parameter logistic of VQEG. Nothing here clips,
rescales or drops a value.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.core.agreement import bootstrap_srcc
from pipeline.core.registry import find, names

METRICS = "evaluation.metrics"
"""The room whose files are the metrics."""


def score_predictions(
    prediction: np.ndarray, mos: np.ndarray, contents: Sequence[str], *, num_resamples: int, seed: int
) -> dict[str, float]:
    """All metrics of one predictor; arguments and errors as for `bootstrap_srcc`.

    Returns:
        ``srcc``, ``srcc_low``, ``srcc_high`` and each metric of the room, by name. An undefined correlation is 0: a
        constant orders nothing, and JSON has no NaN.
    """
    interval = bootstrap_srcc(prediction, mos, contents, num_resamples=num_resamples, seed=seed)
    values = {"srcc": interval.value, "srcc_low": interval.low, "srcc_high": interval.high}
    values |= {name: getattr(find(METRICS, name), name)(prediction, mos) for name in names(METRICS)}
    return {name: float(value) if np.isfinite(value) else 0.0 for name, value in values.items()}
