"""Data sets that a user brings: finds the files that label tables name, and names every problem at once."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.core.manifest import ManifestError, ScoreScale, Split, resolve
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry, Progress, RawFormat, Survey
from pipeline.preparation.datasets.shared.files import files_below
from pipeline.preparation.datasets.shared.places import NotAFile, Places, below
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.values import Values
from pipeline.video.decoder import is_headerless

_UNTABLED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""What a name in a table must not have: line breaks and their like, and bytes that are no UTF-8."""
_EXPLAINED = 50
"""Missing files that get a nearest name; no more are shown."""
_Settings = TypeVar("_Settings", bound=BroughtSettings)
Scales = Mapping[str, ScoreScale]


def brought(
    name: str,
    scale: Callable[[_Settings], ScoreScale],
    download: str,
    find: Callable[["Brought", _Settings], None],
    *,
    scores: Scales | None = None,
    paths: Sequence[str] = (),
    missing: str = "fail",
) -> tuple[
    Callable[[_Settings], dict[str, ScoreScale]], Callable[..., list[Entry]], Callable[[_Settings, Path], Survey]
]:
    """The functions ``scales``, ``collect`` and ``survey`` of a data set that a user brings.

    Args:
        name: of the data set.
        scale: of the score that trains.
        download: what to download and where it goes.
        find: reads the publisher's tables and adds every video that they name.
        scores: the scale of every score, where there are several.
        paths: templates of a video's path, where the settings give none.
        missing: what a video that is not there does, where the settings do not say.
    """

    def found(settings: _Settings, data_root: Path) -> Brought:
        lies = Brought(
            name, scale(settings), settings, data_root, download, scores=scores or {}, paths=paths, missing=missing
        )
        find(lies, settings)
        return lies

    def scales(settings: _Settings) -> dict[str, ScoreScale]:
        """The scale of the scores, by data set."""
        return {name: scale(settings)}

    def collect(settings: _Settings, data_root: Path, workers: int, progress: Progress | None = None) -> list[Entry]:
        """Finds every video.

        Raises:
            DatasetError: with every problem.
        """
        del workers, progress
        return found(settings, data_root).entries()

    def survey(settings: _Settings, data_root: Path) -> Survey:
        """Says which label files and videos are there, and opens none of these.

        Raises:
            DatasetError: there is no label file that can be read.
        """
        return found(settings, data_root).survey()

    return scales, collect, survey


class Brought:
    """What has been found of a data set so far, and every problem on the way.

    Args:
        name: of the data set.
        scale: of the score that trains.
        settings: of the data set.
        data_root: the folder that paths are relative to.
        download: what to download and where it goes.
        scores: the scale of every score, where there are several.
        paths: templates of a video's path, where the settings give none.
        missing: what a video that is not there does, where the settings do not say.
    """

    def __init__(
        self,
        name: str,
        scale: ScoreScale,
        settings: BroughtSettings,
        data_root: Path,
        download: str,
        *,
        scores: Scales,
        paths: Sequence[str],
        missing: str,
    ) -> None:
        self._name, self._settings, self._root, self._download = name, settings, data_root, download
        self._below_root = (settings.folder or f"raw/{name}").rstrip("/")
        self._is_needed = (settings.missing or missing) == "fail"
        self._entries: list[Entry] = []
        self._problems: list[str] = []
        self._missing: list[str] = []
        self._missing_problems: list[str] = []
        self._without_content: list[str] = []
        self.tables: list[str] = []
        self.values = Values(name, settings, scale, scores, self.problem)
        try:
            self.folder = resolve(data_root, self._below_root)
        except ManifestError as error:
            raise DatasetError(f"prepare.options.{name}.folder: {error}") from None
        if not self.folder.is_dir():
            raise self._asked_for(f"there is no folder {self.folder}")
        self._places = Places(name, data_root, self._below_root, settings.paths or paths)

    def has(self, *names: str) -> Path | None:
        """The first of these label files that is there.

        Raises:
            DatasetError: one leaves the data root.
        """
        for name in names:
            try:
                path = resolve(self._root, below(self._below_root, name))
            except ManifestError as error:
                raise DatasetError(f"the label table of {self._name}: {error}") from None
            if path.is_file():
                return path
        return None

    def table(self, *names: str) -> Path:
        """As ``has``.

        Raises:
            DatasetError: none is there; the text says what to download.
        """
        path = self.has(*names)
        if path is None:
            raise self._asked_for(f"{self.folder} has no {' and no '.join(names)}")
        return path

    def files(self) -> Iterator[str]:
        """Every file of the folder, as ``files_below``; a linked folder that leaves the data root is a problem."""
        return files_below(self.folder, self._root, self.problem)

    def add(
        self,
        where: str,
        fields: Mapping[str, str],
        *,
        score: str | float | None,
        others: Mapping[str, str] | None = None,
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
            others: further scores by name, as published; empty where the row lacks one.
            content: its source; empty leaves it to ``pattern``.
            pattern: whose first group, found in the path, is the content; without it the video is its own.
            video_id: empty takes the file's name without its suffix.
            codec: as in ``Entry``.
            level: as in ``Entry``.
            split: as in ``Entry``.
            raw: as in ``Entry``.
            num_frames: as in ``Entry``.
        """
        mos = self.values.mos(where, score)
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
                path=f"{self._below_root}/{name}",
                mos=mos,
                content=content or video_id,
                codec=codec,
                level=level,
                split=split,
                dataset=self._name,
                raw=self._settings.raw.completed(raw) if is_headerless(name) else None,
                num_frames=num_frames,
                where=where,
                scores={key: self.values.other(where, key, text) for key, text in (others or {}).items()},
            )
        )

    def problem(self, text: str) -> None:
        """Adds a problem that is named with all others."""
        self._problems.append(text)

    def entries(self) -> list[Entry]:
        """All videos, ordered by ``video_id``.

        Raises:
            DatasetError: with every problem, and the videos that were found nevertheless.
        """
        entries = sorted(self._entries, key=lambda entry: entry.video_id)
        self._check_contents()
        if self._problems:
            advice = self._download if self._missing_problems else ""
            raise DatasetError(*self._problems, entries=entries, advice=advice)
        if not entries:
            raise self._asked_for(f"{self.folder} holds none of the videos")
        if self._missing:
            total = len(self._missing) + len(entries)
            print(
                f"prepare: {self._name}: {len(self._missing)} of {total} videos are not there and were left out",
                file=sys.stderr,
            )
        return entries

    def survey(self) -> Survey:
        """What was found, the missing videos apart from all other problems."""
        of_missing = set(self._missing_problems)
        return Survey(
            tables=self.tables,
            rows=len(self._entries) + len(self._missing),
            present=len(self._entries),
            missing=self._missing,
            problems=[text for text in self._problems if text not in of_missing],
            advice=self._download,
            needs_all=self._is_needed,
        )

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
        setting = f"prepare.options.{self._name}.content {found}"
        if len(self._without_content) >= len(self._entries):
            self.problem(f"{setting}; expected a regular expression whose group names the content, or null")
        else:
            print(f"prepare: {setting}; each of these videos is its own content", file=sys.stderr)

    def _find(self, where: str, fields: Mapping[str, str]) -> str | None:
        """The path, in the folder, of a row's file; None where it is not there."""
        try:
            names = self._places.names(fields)
            found = self._places.find(names)
        except (ManifestError, NotAFile, OSError) as error:
            self.problem(f"{where}: {error}")
            return None
        if found is None:
            self._missing.append(names[0])
            if self._is_needed:
                hint = self._places.nearest(names) if len(self._missing) <= _EXPLAINED else ""
                text = f"{where}: no file {' or '.join(dict.fromkeys(names))} in {self.folder}{hint}"
                self._missing_problems.append(text)
                self.problem(text)
        return found

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
