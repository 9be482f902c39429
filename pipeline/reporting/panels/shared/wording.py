"""Names and numbers as the page words them."""

import math
from collections.abc import Mapping

from pipeline.core.agreement import Interval
from pipeline.reporting.run import Scores

TITLES = {
    "student": "student",
    "student_alone": "student without targets",
    "teacher": "teacher",
    "baseline": "ridge on teacher embeddings",
    "crf_codec": "CRF + codec",
    "hand_features": "ridge on hand features",
    "bits_per_pixel": "bits per pixel",
    "mean": "mean of the training scores",
}


"""Predictor → how the page calls it, in the order of the page."""


_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def title_of(predictor: str) -> str:
    """How the page calls a predictor of ``metrics.json``."""
    return TITLES.get(predictor, predictor.replace("_", " "))


def ordered(metrics: Mapping[str, Scores]) -> dict[str, Scores]:
    """The predictors in the order of the page: student, teacher, known baselines, then the others by name."""
    known = [name for name in TITLES if name in metrics]
    return {name: metrics[name] for name in [*known, *sorted(metrics.keys() - TITLES.keys())]}


def decimal(value: float | None, digits: int = 3) -> str:
    """A number with a true minus sign; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text.replace("-", "−")


def interval(scores: Scores, digits: int = 3) -> str:
    """The bounds of the SRCC in words; empty where unknown."""
    low, high = scores.get("srcc_low"), scores.get("srcc_high")
    return "" if low is None or high is None else f"{decimal(low, digits)} to {decimal(high, digits)}"


def difference(lead: Interval | None) -> str:
    """A paired difference with its bounds in words; an en dash where there is none."""
    if lead is None:
        return "–"
    sign = "+" if lead.value > 0.0 else ""
    return f"{sign}{decimal(lead.value)} ({decimal(lead.low)} to {decimal(lead.high)})"


def amount(value: float) -> str:
    """A count or measure for reading: ``5.81 M``, ``1.2 G``, ``0.0123``, ``960``."""
    if not math.isfinite(value):
        return "–"
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * (10 if prefix == "k" else 1):
            return f"{value / factor:.3g} {prefix}"
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``52 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
