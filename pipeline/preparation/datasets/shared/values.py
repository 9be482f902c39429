"""Scores and counts of label tables, as numbers, or as problems with the row that has them."""

import math
from collections.abc import Callable, Mapping

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.settings import BroughtSettings, ScoredSettings

_NOTHING = ("", "nan", "n/a", "na", "none", "null")


class Values:
    """Reads a data set's values.

    Args:
        name: of the data set.
        settings: of the data set.
        scale: of the score that trains.
        scores: the scale of every score, where there are several.
        problem: called with what is wrong.
    """

    def __init__(
        self,
        name: str,
        settings: BroughtSettings,
        scale: ScoreScale,
        scores: Mapping[str, ScoreScale],
        problem: Callable[[str], None],
    ) -> None:
        self._name, self._settings, self._scale, self._scores = name, settings, scale, scores
        self._problem = problem

    def mos(self, where: str, score: str | float | None) -> float | None:
        """The score that trains, turned so that higher is better; None where there is none, or it is a problem."""
        if score is None:
            return None
        if score == "":
            if self._settings.unscored == "fail":
                self._problem(f"{where}: no score; set prepare.options.{self._name}.unscored: keep to do without")
            return None
        return self._on_scale(where, score, self._scale)

    def other(self, where: str, name: str, text: str) -> float | None:
        """A further score, turned so that higher is better; None where the row lacks it."""
        if text.lower() in _NOTHING:
            return None
        return self._on_scale(where, text, self._scores.get(name, self._scale))

    def number(self, where: str, name: str, text: str, unknown: str = "") -> float | None:
        """A number above 0 of a table, None where it is empty or ``unknown``; else a problem."""
        if text in ("", unknown):
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            self._problem(f"{where}: got {name} {text!r}; expected a number above 0, or nothing")
            return None
        return value

    def count(self, where: str, name: str, text: str) -> int | None:
        """As ``number``, for whole numbers."""
        value = self.number(where, name, text)
        if value is not None and value != int(value):
            self._problem(f"{where}: got {name} {text!r}; expected a whole number")
        return None if value is None else int(value)

    def _on_scale(self, where: str, score: str | float, scale: ScoreScale) -> float | None:
        try:
            value = float(score)
        except ValueError:
            self._problem(f"{where}: got the score {score!r}; expected a number such as 3.5")
            return None
        if not math.isfinite(value) or not scale.low <= value <= scale.high:
            settable = isinstance(self._settings, ScoredSettings)
            remedy = f", or set prepare.options.{self._name}.low and high" if settable else ""
            self._problem(
                f"{where}: {scale.score_name} is {value:g}; "
                f"the scale of {self._name} is {scale.low:g} to {scale.high:g}; correct the table{remedy}"
            )
            return None
        return scale.turned(value)
