"""Data sets that a user brings: finds the files that label tables name, and tells every problem at once."""

import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pipeline.core.manifest import ManifestError, ScoreScale, Split, resolve
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry, Progress, RawFormat
from pipeline.preparation.datasets.shared.files import Names, files_below, forms
from pipeline.preparation.datasets.shared.settings import BroughtSettings, ScoredSettings
from pipeline.video.decoder import is_headerless

_UNTABLED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""What a name in a table must not have: line breaks and their like, and bytes that are no UTF-8."""
_EXPLAINED = 50
"""Missing files that get a nearest name; no more are shown."""
_Settings = TypeVar("_Settings", bound=BroughtSettings)


def brought(
    name: str,
    scale: Callable[[_Settings], ScoreScale],
    download: str,
    find: Callable[["Brought", _Settings], None],
) -> tuple[Callable[[_Settings], dict[str, ScoreScale]], Callable[..., list[Entry]]]:
    """The functions ``scales`` and ``collect`` of a data set that a user brings.

    Args:
        name: of the data set.
        scale: of its scores.
        download: what to download and where it goes.
        find: reads the publisher's tables and adds every video that they name.
    """

    def scales(settings: _Settings) -> dict[str, ScoreScale]:
        """The scale of the scores, by data set."""
        return {name: scale(settings)}

    def collect(settings: _Settings, data_root: Path, workers: int, progress: Progress | None = None) -> list[Entry]:
        """Finds every video.

        Raises:
            DatasetError: with every problem.
        """
        del workers, progress
        found = Brought(name, scale(settings), settings, data_root, download)
        find(found, settings)
        return found.entries()

    return scales, collect


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
        self._num_missing, self._left_out = 0, 0
        self._without_content: list[str] = []
        try:
            self.folder = resolve(data_root, settings.folder)
        except ManifestError as error:
            raise DatasetError(f"prepare.options.{name}.folder: {error}") from None
        if not self.folder.is_dir():
            raise self._asked_for(f"there is no folder {self.folder}")

    def table(self, *names: str) -> Path:
        """The first of these label files that is there.

        Raises:
            DatasetError: none is; the text says what to download.
        """
        for name in names:
            try:
                path = resolve(self._root, self._below(name))
            except ManifestError as error:
                raise DatasetError(f"the label table of {self._name}: {error}") from None
            if path.is_file():
                return path
        raise self._asked_for(f"{self.folder} has no {' and no '.join(names)}")

    def files(self) -> Iterator[str]:
        """Every file of the folder, as ``files_below``; a linked folder that leaves the data root is a problem."""
        return files_below(self.folder, self._root, self.problem)

    def aligned(self, path: Path, **columns: Sequence[Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The entries of a MATLAB file's variables, side by side, each with its place for messages.

        Variables of different lengths are a problem.
        """
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{count} of {name}" for name, count in lengths.items())
            self.problem(f"{path}: got {told}; expected as many of each; download it again")
        shared = [column[: min(lengths.values())] for column in columns.values()]
        for number, values in enumerate(zip(*shared, strict=True), start=1):
            yield f"{path.name}, entry {number}", values

    def add(
        self,
        where: str,
        fields: Mapping[str, str],
        *,
        score: str | float | None,
        content: str = "",
        pattern: str | None = None,
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
            content: its source; empty leaves it to ``pattern``.
            pattern: whose first group, found in the path, is the content; without it the video is its own.
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
        content = content or self._content_of(name, pattern)
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
                where=where,
            )
        )

    def problem(self, text: str) -> None:
        """Adds a problem that is reported with all others."""
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
            DatasetError: with every problem, and the videos that were found nevertheless.
        """
        entries = sorted(self._entries, key=lambda entry: entry.video_id)
        self._check_contents()
        if self._problems:
            advice = self._download if self._num_missing else ""
            raise DatasetError(*self._problems, entries=entries, advice=advice)
        if not entries:
            raise self._asked_for(f"{self.folder} holds none of the videos")
        if self._left_out:
            print(f"prepare: {self._name}: {self._left_out} videos are not there and were left out", file=sys.stderr)
        return entries

    def _content_of(self, path: str, pattern: str | None) -> str:
        found = re.search(pattern, path) if pattern else None
        if pattern and not found:
            self._without_content.append(path)
        return (found[1] or "") if found else ""

    def _check_contents(self) -> None:
        """A pattern that finds nothing would divide videos of one content between the splits."""
        if not self._without_content:
            return
        found = f"finds nothing in {len(self._without_content)} paths, such as {self._without_content[0]!r}"
        told = f"prepare.options.{self._name}.content {found}"
        if len(self._without_content) >= len(self._entries):
            self.problem(f"{told}; expected a regular expression whose group names the content, or null")
        else:
            print(f"prepare: {told}; each of these videos is its own content", file=sys.stderr)

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
            self.problem(f"{where}: got the score {score!r}; expected a number such as 3.5")
            return None
        if not math.isfinite(value) or not scale.low <= value <= scale.high:
            settable = isinstance(self._settings, ScoredSettings)
            remedy = f", or set prepare.options.{self._name}.low and high" if settable else ""
            self.problem(
                f"{where}: {scale.score_name} is {value:g}; "
                f"the scale of {self._name} is {scale.low:g} to {scale.high:g}; correct the table{remedy}"
            )
            return None
        return scale.turned(value)

    def _find(self, where: str, fields: Mapping[str, str]) -> str | None:
        """The path, in the folder, of the first template's file that exists."""
        names = [self._fill(template, fields) for template in self._settings.paths]
        for name in [form for written in names for form in forms(written)]:
            try:
                path = resolve(self._root, self._below(name))
                if path.is_file():
                    return name
                if os.path.lexists(path) and not path.is_dir():
                    self.problem(f"{where}: {name} is no file but a broken link, a pipe or a device; remove it")
                    return None
            except (ManifestError, OSError) as error:
                self.problem(f"{where}: {error}")
                return None
        if self._settings.missing == "leave_out":
            self._left_out += 1
            return None
        self._num_missing += 1
        hint = self._nearest(names) if self._num_missing <= _EXPLAINED else ""
        self.problem(f"{where}: no file {' or '.join(dict.fromkeys(names))} in {self.folder}{hint}")
        return None

    def _below(self, name: str) -> str:
        """A name in the folder as a path below the data root; one that begins anew stays as it is, to be refused."""
        return name if PurePosixPath(name).is_absolute() else f"{self._settings.folder.rstrip('/')}/{name}"

    def _fill(self, template: str, fields: Mapping[str, str]) -> str:
        try:
            return template.format_map(fields)
        except (KeyError, IndexError, ValueError, AttributeError):
            raise DatasetError(
                f"prepare.options.{self._name}.paths: {template!r} cannot be filled in; its fields are "
                f"{', '.join(fields)}; name the field that holds the path, such as '{{{next(iter(fields), '')}}}'"
            ) from None

    def _nearest(self, names: Sequence[str]) -> str:
        for name in names:
            found = self._names.of_same_name(name)
            if found:
                return f"; did you mean {found!r}? set prepare.options.{self._name}.paths"
        return self._names.nearest(names[0])

    @cached_property
    def _names(self) -> Names:
        return Names(files_below(self.folder, self._root, lambda _: None))

    def _asked_for(self, problem: str) -> DatasetError:
        return DatasetError(problem, advice=self._download)


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
