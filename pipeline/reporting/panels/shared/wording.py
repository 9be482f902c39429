"""Names and numbers as the page words them."""

import math
from collections.abc import Mapping, Sequence

from pipeline.core.agreement import Interval
from pipeline.reporting.run import Part, Scores

TITLES = {
    "student": "student",
    "student_alone": "student without targets",
    "teacher": "teacher",
    "baseline": "ridge on teacher embeddings",
    "hand_features": "ridge on hand features",
    "crf_codec": "CRF + codec",
    "bits_per_pixel": "bits per pixel",
    "mean": "mean of the training scores",
}
"""Predictor → how the page calls it, in the order of the page."""

NEEDS_TEACHER = ("student", "teacher", "baseline")
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_NBSP = "\N{NO-BREAK SPACE}"


def title_of(predictor: str) -> str:
    """How the page calls a predictor of ``metrics.json``."""
    return TITLES.get(predictor, predictor.replace("_", " "))


def named(predictor: str) -> str:
    """The predictor in a sentence."""
    return f"the {predictor}" if predictor in ("student", "teacher") else title_of(predictor)


def ordered(metrics: Mapping[str, Scores]) -> dict[str, Scores]:
    """The predictors in the order of the page: student, teacher, known baselines, then the others by name."""
    known = [name for name in TITLES if name in metrics]
    return {name: metrics[name] for name in [*known, *sorted(metrics.keys() - TITLES.keys())]}


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def counted(number: int, noun: str) -> str:
    """``1 video``, ``1,200 videos``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def decimal(value: float | None, digits: int = 3) -> str:
    """A number with a true minus sign; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text.replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """A difference, with its sign."""
    text = decimal(value, digits)
    return f"+{text}" if value > 0.0 and float(text) else text


def bounds(low: float | None, high: float | None, digits: int = 3) -> str:
    """An interval in words; empty where unknown or of no width."""
    return "" if low is None or high is None or low == high else f"{decimal(low, digits)} to {decimal(high, digits)}"


def with_bounds(scores: Scores) -> str:
    """The SRCC with its interval in a sentence."""
    ends = bounds(scores.get("srcc_low"), scores.get("srcc_high"), 2)
    return decimal(scores.get("srcc"), 2) + (f" (95{_NBSP}% interval {ends})" if ends else "")


def verdict(lead: Interval) -> str:
    """``better``, ``worse`` or ``open``: what a paired difference to another predictor says of the student."""
    return "better" if lead.low > 0.0 else "worse" if lead.high < 0.0 else "open"


def percent(share: float) -> str:
    """A share as a whole percentage."""
    return f"{100 * share:.0f}{_NBSP}%"


def score_digits(part: Part) -> int:
    """After how many decimals a score of the data set is cut: one on a scale such as 0 to 100, else two."""
    return 1 if part.length and part.length > 20 else 2


def points(value: float, part: Part) -> str:
    """A difference of scores as a share of the scale that it is on: ``12.3 of 100 points``."""
    return decimal(abs(value), score_digits(part)) + (f" of {part.length:g} points" if part.length else " points")


def bias(value: float, part: Part) -> str:
    """A mean error in words."""
    size = decimal(abs(value), score_digits(part))
    return f"{size} too {'high' if value > 0 else 'low'}" if float(size) else "neither too high nor too low"


def amount(value: float) -> str:
    """A count or measure for reading: ``5.81 M``, ``1.2 G``, ``0.0123``, ``960``."""
    if not math.isfinite(value):
        return "–"
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * (10 if prefix == "k" else 1):
            return f"{value / factor:.3g}{_NBSP}{prefix}"
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
