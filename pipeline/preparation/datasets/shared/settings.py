"""What can be set of a data set that a user brings; each data set may add its own settings to these."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.core.manifest import ScoreScale
from pipeline.core.settings import Count, Positive, Section
from pipeline.preparation.datasets.shared.entry import RawFormat


def with_a_group(pattern: str | None) -> str | None:
    """Makes sure that a regular expression can be used, and has a group.

    Raises:
        ValueError: so it is not.
    """
    if pattern is not None:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if not groups:
            raise ValueError("the regular expression has no group; put (…) round the part that names the content")
    return pattern


ContentPattern = Annotated[str | None, AfterValidator(with_a_group)]
"""Regular expression whose first group, found in a video's path, names its content; null makes each video its own."""


class RawSettings(Section):
    """Of headerless ``.yuv`` files, where neither the label table nor the file's name tells; null leaves it to them."""

    width: Count | None = None
    """In px."""
    height: Count | None = None
    fps: Positive | None = None
    pix_fmt: Literal["yuv420p", "yuv420p10le"] | None = None

    def completed(self, told: RawFormat | None) -> RawFormat:
        """What the label table tells of a file, and these settings where it does not."""
        told = told or RawFormat()
        return RawFormat(
            width=told.width or self.width,
            height=told.height or self.height,
            fps=told.fps or self.fps,
            pix_fmt=told.pix_fmt or self.pix_fmt,
        )


class BroughtSettings(Section):
    """What every data set that a user brings can be set to; null leaves it to the data set's own description."""

    folder: str | None = None
    """Where it lies, below ``data/``; null: ``raw/<its name>``."""
    paths: Annotated[list[str], Field(min_length=1)] | None = None
    """Templates of a video's path in that folder, tried in turn; the fields are the label table's columns."""
    missing: Literal["fail", "leave_out"] | None = None
    """What a video that the labels name and the folder lacks does; null: ``fail`` for nearly every data set."""
    unscored: Literal["fail", "keep"] = "fail"
    """What a row without a score does where the table has scores; ``keep``: a student learns from the teacher alone."""
    raw: RawSettings = RawSettings()


class PublishedSettings(BroughtSettings):
    """Of data sets that a publisher labelled."""

    labels: str | None = None
    """The label file, where it has another name than its publisher's."""
    score: str | None = None
    """Which of the data set's scores trains; null: the overall one. ``labels.csv`` has the others beside it."""


class ScoredSettings(BroughtSettings):
    """Of data sets whose tables do not tell their scale."""

    score_name: str = "MOS"
    low: float
    """The lowest number that can stand in the table."""
    high: float
    lower_is_better: bool = False
    """Whether the numbers are DMOS; they are turned."""
    content: ContentPattern = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; expected low < high")
        return self

    @property
    def scale(self) -> ScoreScale:
        """The scale of the scores."""
        return ScoreScale(
            score_name=self.score_name,
            low=self.low,
            high=self.high,
            published_direction="lower_is_better" if self.lower_is_better else "higher_is_better",
        )
