"""A list without a header, as FAST-VQA, DOVER and others share them: ``path, duration, fps, mos``, -1 where unknown.

Lists with several scores name their columns: MaxWell's are ``columns: [path, technical, aesthetic, overall]``, and
``score: overall`` trains. Lists of DMOS (LIVE VQA's) need ``lower_is_better: true``.

Ref: Wu et al., "FAST-VQA" (2022) and "DOVER" (2023), their ``examplar_data_labels``. Duration is not read: frames are
counted.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import RawFormat
from pipeline.preparation.datasets.shared.settings import ScoredSettings
from pipeline.preparation.datasets.shared.tables import read_table

NAME = "labels_txt"
DOWNLOAD = tell(
    NAME, "Expected: the list, labels.txt (or what prepare.options.labels_txt.labels names), and the videos it names."
)
_UNKNOWN = "-1"


class Settings(ScoredSettings):
    """Which lists, their columns, and the scale of their scores."""

    labels: dict[Literal["all", "train", "val", "test"], str] = Field({"all": "labels.txt"}, min_length=1)
    """Split → its list; ``all`` leaves the split to ``prepare``."""
    columns: list[str] = Field(["path", "duration", "fps", "mos"], min_length=2)
    """Names of the list's columns: ``path`` is the video, ``duration`` is not read, ``fps`` is of raw video; all others
    are scores."""
    score: str | None = None
    """Which of the scores trains; null: the last one. ``labels.csv`` has the others beside it."""

    @model_validator(mode="after")
    def _has_scores(self) -> Self:
        scores = self.scores
        if "path" not in self.columns or not scores or (self.score and self.score not in scores):
            raise ValueError(
                f"columns are {self.columns}, score {self.score!r}; expected path and the score among them"
            )
        return self

    @property
    def scores(self) -> list[str]:
        """The columns that are scores."""
        return [name for name in self.columns if name not in ("path", "duration", "fps")]


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the lists."""
    chosen = settings.score or settings.scores[-1]
    for split, name in settings.labels.items():
        table = read_table(found.table(name), {column: column for column in settings.columns}, header=settings.columns)
        found.tables.append(f"{name}: {len(table.rows)} rows; {table.found}")
        for row in table.rows:
            scores = {key: "" if row[key] in (_UNKNOWN, "-1.0") else row[key] for key in settings.scores}
            found.add(
                row.where,
                row,
                score=scores.pop(chosen),
                others=scores,
                pattern=settings.content,
                video_id=str(Path(row["path"]).with_suffix("")),
                split=None if split == "all" or (split == "train" and "val" not in settings.labels) else split,
                raw=RawFormat(fps=found.values.number(row.where, "fps", row.get("fps", ""), unknown=_UNKNOWN)),
            )


scales, collect, survey = brought(NAME, lambda settings: settings.scale, DOWNLOAD, _find, paths=["{path}"])
