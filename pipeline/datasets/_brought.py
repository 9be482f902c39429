"""Data sets that a user brings: finds the files that label tables name, and tells every problem at once."""

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from pipeline.datasets import Entry, RawFormat
from pipeline.datasets._tables import DatasetError, raise_all
from pipeline.decoders import is_headerless
from pipeline.errors import nearest
from pipeline.manifest import ManifestError, ScoreScale, Split, resolve
from pipeline.params import Count, Positive, Section

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".ts", ".flv", ".ivf", ".yuv", ".y4m")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_UNTABLED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""What a name in a table must not have: line breaks and their like, and bytes that are no UTF-8."""
_EXPLAINED = 50
"""Problems that get a nearest name; the search is slow and no more are shown."""


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
    """What every data set that a user brings can be told."""

    folder: str
    """Where it lies, below ``data/``."""
    paths: list[str]
    """Templates of a video's path in that folder, tried in turn; the fields are the label table's columns."""
    missing: Literal["fail", "leave_out"] = "fail"
    """What a video that the labels name and the folder lacks does."""
    unscored: Literal["fail", "keep"] = "fail"
    """What a row without a score does where the table has scores; ``keep``: a student learns from the teacher alone."""
    raw: RawSettings = RawSettings()


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


class Brought:
    """What has been found of a data set so far, and every problem on the way.

    Args:
        name: of the data set.
        scale: of its scores.
        settings: of the data set.
        data_root: the folder that paths are relative to.
        download: what to download and where it goes.
    """

    def __init__(self, name: str, scale: ScoreScale, settings: BroughtSettings, data_root: Path, download: str) -> None:
        self._name, self._scale, self._settings, self._root = name, scale, settings, data_root
        self._download = download
        self._entries: list[Entry] = []
        self._problems: list[str] = []
        self._left_out = 0
        try:
            self.folder = resolve(data_root, settings.folder)
        except ManifestError as error:
            raise DatasetError(f"prepare.options.{name}.folder: {error}") from None
        if not self.folder.is_dir():
            raise DatasetError(self._asked_for(f"there is no folder {self.folder}"))

    def table(self, *names: str) -> Path:
        """The first of these label files that is there.

        Raises:
            DatasetError: none is; the text says what to download.
        """
        for name in names:
            if (self.folder / name).is_file():
                return self.folder / name
        raise DatasetError(self._asked_for(f"{self.folder} has no {' and no '.join(names)}"))

    def add(
        self,
        where: str,
        fields: Mapping[str, str],
        *,
        score: str | float | None,
        content: str = "",
        video_id: str = "",
        codec: str = "",
        level: str = "",
        split: Split | None = None,
        raw: RawFormat | None = None,
        num_frames: int | None = None,
    ) -> None:
        """Adds a video, or a problem.

        Args:
            where: table and row, for messages.
            fields: for the path templates.
            score: as published; turned here so that higher is better. None where the data set has none; empty where
                this row lacks it.
            content: its source; empty means that the video is its own.
            video_id: empty takes the file's name without its suffix.
            codec: as in ``Entry``.
            level: as in ``Entry``.
            split: as in ``Entry``.
            raw: as in ``Entry``.
            num_frames: as in ``Entry``.
        """
        mos = self._mos(where, score)
        name = self._find(where, fields)
        if name is None:
            return
        if _UNTABLED.search(name):
            self.problem(f"{where}: the name of {name!r} cannot stand in a table; rename the file")
            return
        video_id = video_id or Path(name).stem
        self._entries.append(
            Entry(
                video_id=video_id,
                path=f"{self._settings.folder.rstrip('/')}/{name}",
                mos=mos,
                content=content or video_id,
                codec=codec,
                level=level,
                split=split,
                dataset=self._name,
                raw=self._settings.raw.completed(raw) if is_headerless(name) else None,
                num_frames=num_frames,
            )
        )

    def problem(self, text: str) -> None:
        """Adds a problem that is told with all others."""
        self._problems.append(text)

    def number(self, where: str, name: str, text: str, unknown: str = "") -> float | None:
        """A number above 0 of a table, None where it is empty or ``unknown``; else a problem."""
        if text in ("", unknown):
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            self.problem(f"{where}: got {name} {text!r}; expected a number above 0, or nothing")
            return None
        return value

    def count(self, where: str, name: str, text: str) -> int | None:
        """As ``number``, for whole numbers."""
        value = self.number(where, name, text)
        if value is not None and value != int(value):
            self.problem(f"{where}: got {name} {text!r}; expected a whole number")
        return None if value is None else int(value)

    def entries(self) -> list[Entry]:
        """All videos, ordered by ``video_id``.

        Raises:
            DatasetError: with every problem.
        """
        if self._problems:
            found = f"{len(self._problems)} problems with the data set {self._name}:"
            raise_all([found, *self._problems, *([self._download] if len(self._problems) < _EXPLAINED else [])])
        if not self._entries:
            raise DatasetError(self._asked_for(f"{self.folder} holds none of the videos"))
        if self._left_out:
            print(f"prepare: {self._name}: {self._left_out} videos are not there and were left out", file=sys.stderr)
        return sorted(self._entries, key=lambda entry: entry.video_id)

    def _mos(self, where: str, score: str | float | None) -> float | None:
        if score is None:
            return None
        if score == "":
            if self._settings.unscored == "fail":
                self.problem(f"{where}: no score; set prepare.options.{self._name}.unscored: keep to do without")
            return None
        scale = self._scale
        try:
            value = float(score)
        except ValueError:
            self.problem(f"{where}: got the score {score!r}; expected a number")
            return None
        if not math.isfinite(value) or not scale.low <= value <= scale.high:
            self.problem(
                f"{where}: {scale.score_name} is {value:g}; "
                f"the scale of {self._name} is {scale.low:g} to {scale.high:g}"
            )
            return None
        return scale.turned(value)

    def _find(self, where: str, fields: Mapping[str, str]) -> str | None:
        """The path, in the folder, of the first template's file that exists."""
        names = [self._fill(template, fields) for template in self._settings.paths]
        for name in names:
            try:
                path = resolve(self.folder, name)
                if path.is_file():
                    return name
                if os.path.lexists(path):
                    self.problem(f"{where}: {name} is no file but a broken link, a pipe or a device; remove it")
                    return None
            except ManifestError as error:
                self.problem(f"{where}: {error}")
                return None
        if self._settings.missing == "leave_out":
            self._left_out += 1
            return None
        hint = self._nearest(names) if len(self._problems) < _EXPLAINED else ""
        self.problem(f"{where}: no file {' or '.join(dict.fromkeys(names))} in {self.folder}{hint}")
        return None

    def _fill(self, template: str, fields: Mapping[str, str]) -> str:
        try:
            return template.format_map(fields)
        except (KeyError, IndexError, ValueError, AttributeError):
            raise DatasetError(
                f"prepare.options.{self._name}.paths: {template!r} cannot be filled in; "
                f"its fields are {', '.join(fields)}"
            ) from None

    def _nearest(self, names: Sequence[str]) -> str:
        by_name = {Path(path).name: path for path in self._names}
        for name in names:
            if Path(name).name in by_name:
                return f"; did you mean {by_name[Path(name).name]!r}? set prepare.options.{self._name}.paths"
        return nearest(names[0], self._names)

    @cached_property
    def _names(self) -> list[str]:
        return list(files_below(self.folder))

    def _asked_for(self, problem: str) -> str:
        return f"{problem}\n{self._download}"


def files_below(folder: Path) -> Iterator[str]:
    """Every file below a folder, as a path in it with ``/``, sorted; without hidden ones and linked folders."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(place) / name).relative_to(folder).as_posix()


def tell(name: str, what: str) -> str:
    """The text that is printed when files are missing.

    Args:
        name: of the data set.
        what: to download, and how it lies in its folder.
    """
    return (
        f"The data set {name} is not fetched by TeachOnce. {what}\n"
        f"Put it into data/raw/{name}/ (or set prepare.options.{name}.folder) and run `dvc add data/raw/{name}`."
    )


def content_of(path: str, pattern: str | None) -> str:
    """The content that ``pattern`` finds in a video's path; empty where there is no pattern, or it finds nothing."""
    found = re.search(pattern, path) if pattern else None
    return (found[1] or "") if found else ""
