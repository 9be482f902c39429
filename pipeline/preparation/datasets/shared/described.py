"""A published data set as a description: which label files, which columns, which paths; no code of its own.

``Settings, scales, collect, survey = described(__name__, FACTS, …)`` is all that most data sets' files hold.
"""

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pipeline.core.errors import nearest
from pipeline.core.manifest import ScoreScale, Split
from pipeline.preparation.datasets.shared.brought import Brought, Scales, brought
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry, RawFormat, Survey
from pipeline.preparation.datasets.shared.facts import Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings
from pipeline.preparation.datasets.shared.tables import Columns, Row, read_table


@dataclass(frozen=True, kw_only=True)
class Labels:
    """A label file, and what its columns are.

    Attributes:
        files: its names, the first that is there is read; one with ``*`` stands for all that fit.
        columns: ``name`` (the video), a score's name, or ``content codec level split width height fps pix_fmt`` → the
            publisher's column, or several of which the first that is there is taken.
        header: the columns' names where the file has none; ``*`` at the end allows more.
        optional: those of ``columns`` that the file may lack.
        sheet: of a spreadsheet.
        split: of all its videos.
        beside: another file, whose rows belong to this one's, line by line.
        unknown: scores that stand for none.
        may_lack: the data set can be read without this file.
    """

    files: Sequence[str]
    columns: Columns
    header: Sequence[str] = ()
    optional: Collection[str] = ()
    sheet: str = ""
    split: Split | None = None
    beside: "Labels | None" = None
    unknown: Collection[str] = ()
    may_lack: bool = False


Fields = dict[str, str]
"""A row's columns under the publisher's names and the description's, what ``pattern`` found, and ``stem``."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """How a data set's label files are read; see ``described``."""

    labels: Sequence[Labels | Sequence[Labels]]
    scores: Scales
    splits: Mapping[str, Split | None]
    joined: Sequence[Labels]
    pattern: str
    derive: Callable[[Fields, Any], Fields | None] | None
    video_id: str


def described(
    name: str,
    facts: Facts,
    *,
    paths: Sequence[str],
    labels: Sequence[Labels | Sequence[Labels]] = (),
    splits: Mapping[str, Split | None] | None = None,
    joined: Sequence[Labels] = (),
    pattern: str = "",
    derive: Callable[[Fields, Any], Fields | None] | None = None,
    video_id: str = "{stem}",
    find: Callable[["Found", Any], None] | None = None,
    missing: str = "fail",
    settings: type[PublishedSettings] = PublishedSettings,
) -> tuple[type[PublishedSettings], Callable[..., Any], Callable[..., list[Entry]], Callable[..., Survey]]:
    """``Settings``, ``scales``, ``collect`` and ``survey`` of a published data set.

    Args:
        name: of the adapter's module.
        facts: what is known of the data set.
        paths: templates of a video's path; the fields are ``Fields``.
        labels: every one is read; of several in one place the first that is there.
        splits: text of the column ``split`` → split; what is not named is a problem.
        joined: further files with ``name`` and ``split``, for videos of the others; each may be missing.
        pattern: a regular expression found in ``name``; its groups become fields.
        derive: further fields of a row, from its fields and the settings; None leaves the row out.
        video_id: a template.
        find: reads the label files where a description cannot say how.
        missing: ``leave_out`` where it is normal that videos are no longer to be had.
        settings: where the data set has options of its own.
    """
    short, scores = name.rpartition(".")[2], facts.scores
    plan = Description(
        labels=labels,
        scores=scores,
        splits=splits or {},
        joined=joined,
        pattern=pattern,
        derive=derive,
        video_id=video_id,
    )

    def scale(options: PublishedSettings) -> ScoreScale:
        return scores[_chosen(short, options, scores)]

    def run(found: Brought, options: PublishedSettings) -> None:
        (find or Found.add_all)(Found(short, found, options, plan), options)

    scales, collect, survey = brought(
        short, scale, facts.asked_for(short), run, scores=scores, paths=paths, missing=missing
    )
    return settings, scales, collect, survey


def _chosen(name: str, options: PublishedSettings, scores: Scales) -> str:
    chosen = options.score or next(iter(scores))
    if chosen not in scores:
        raise DatasetError(
            f"prepare.options.{name}.score: got {chosen!r}; known: {', '.join(scores)}{nearest(chosen, scores)}"
        )
    return chosen


class Found:
    """A described data set, while its label files are read.

    Args:
        name: of the data set.
        brought: what has been found so far.
        options: its settings.
        plan: how its label files are read.
    """

    def __init__(self, name: str, brought: Brought, options: PublishedSettings, plan: Description) -> None:
        self._name, self._brought, self._options, self._plan = name, brought, options, plan
        self._chosen = _chosen(name, options, plan.scores)

    def add_all(self, options: PublishedSettings) -> None:
        """Adds every video of every label file."""
        del options
        placed = {
            row["name"]: self._split(row.where, row["split"] if "split" in labels.columns else "", labels)
            for labels in self._plan.joined
            for row in self.rows(labels)
        }
        for choice in self._plan.labels:
            choices = [choice] if isinstance(choice, Labels) else choice
            labels = next((one for one in choices if self._files(one)), choices[0])
            rows = self.rows(labels)
            if rows and self._chosen not in rows[0]:
                known = [name for name in self._plan.scores if name in rows[0]]
                raise DatasetError(
                    f"{rows[0].file} has not the score {self._chosen!r}; get {choices[0].files[0]}, "
                    f"or set prepare.options.{self._name}.score: {' or '.join(known)}"
                )
            for row in rows:
                self.add(row, labels, split=placed.get(row["name"]))

    def rows(self, labels: Labels) -> list[Row]:
        """The rows of a label file.

        Raises:
            DatasetError: it is not there, unless the data set can do without, or cannot be read.
        """
        paths = self._files(labels)
        if not paths and labels.may_lack:
            return []
        rows: list[Row] = []
        optional = {*labels.optional, *(name for name in self._plan.scores if name != self._chosen)}
        for path in paths or [self._brought.table(*self._names(labels))]:
            table = read_table(path, labels.columns, header=labels.header, optional=optional, sheet=labels.sheet)
            for problem in table.problems:
                self._brought.problem(problem)
            self._brought.tables.append(f"{path.name}: {len(table.rows)} rows; {table.found}")
            rows += table.rows
        return self._side_by_side(rows, labels.beside) if labels.beside else rows

    def add(self, row: Row, labels: Labels, *, split: Split | None = None, more: Fields | None = None) -> None:
        """Adds a row's video.

        Args:
            row: of ``labels``.
            labels: its label file.
            split: where it is known.
            more: further fields.
        """
        plan, name = self._plan, row["name"]
        known = {*labels.columns, *(labels.beside.columns if labels.beside else ())}
        ours: Fields = {key: row[key] for key in known if key in row} | (more or {})
        if plan.pattern:
            match = re.search(plan.pattern, name)
            if not match:
                self._brought.problem(f"{row.where}: the name {name!r} is not as published ({plan.pattern})")
                return
            ours |= {key: text or "" for key, text in match.groupdict().items()}
        fields = {**row, "stem": Path(name).stem, **ours}
        if plan.derive:
            derived = plan.derive(fields, self._options)
            if derived is None:
                return
            fields, ours = fields | derived, ours | derived
        scores = {
            key: "" if ours[key] in (*labels.unknown, "NaN", "nan") else ours[key] for key in plan.scores if key in ours
        }
        score = scores.pop(self._chosen, "")
        width, height, fps = (self._brought.values.number(row.where, key, ours.get(key, "")) for key in _GEOMETRY)
        self._brought.add(
            row.where,
            fields,
            score=score,
            others=scores,
            content=ours.get("content", ""),
            video_id=plan.video_id.format_map(fields),
            codec=ours.get("codec", ""),
            level=ours.get("level", ""),
            split=split or self._split(row.where, ours.get("split", ""), labels),
            raw=RawFormat(
                width=int(width) if width else None,
                height=int(height) if height else None,
                fps=fps,
                pix_fmt=ours.get("pix_fmt") or None,
            ),
        )

    def need(self, *names: str) -> None:
        """Makes sure that one of these label files is there.

        Raises:
            DatasetError: none is; the text says what to download.
        """
        self._brought.table(*names)

    def note(self, text: str) -> None:
        """Says something that is not wrong."""
        print(f"prepare: {self._name}: {text}", file=sys.stderr)

    @property
    def chosen(self) -> str:
        """The score that trains."""
        return self._chosen

    def _names(self, labels: Labels) -> Sequence[str]:
        override = self._options.labels
        if override is None or labels in self._plan.joined:
            return labels.files
        if len(self._plan.labels) != 1:
            raise DatasetError(
                f"prepare.options.{self._name}.labels: got {override!r}; "
                "this data set has several label files; give them their publisher's names"
            )
        return [override]

    def _files(self, labels: Labels) -> list[Path]:
        folder = self._brought.folder
        for name in self._names(labels):
            fitting = [path.relative_to(folder).as_posix() for path in folder.glob(name)] if "*" in name else [name]
            found = [path for path in map(self._brought.has, sorted(fitting)) if path]
            if found:
                return found
        return []

    def _side_by_side(self, rows: list[Row], labels: Labels) -> list[Row]:
        others = self.rows(labels)
        if not others:
            return rows
        if len(rows) != len(others):
            self._brought.problem(
                f"{rows[0].file} has {len(rows)} rows, {others[0].file} {len(others)}; expected as many; "
                "download both again"
            )
        return [_joined(one, other) for one, other in zip(rows, others, strict=False)]

    def _split(self, where: str, text: str, labels: Labels) -> Split | None:
        if not text:
            return labels.split
        known = self._plan.splits or {split: split for split in get_args(Split)}
        if text not in known:
            self._brought.problem(f"{where}: got the split {text!r}; expected {', '.join(known)}{nearest(text, known)}")
            return None
        return known[text]


_GEOMETRY = ("width", "height", "fps")


def _joined(one: Row, other: Row) -> Row:
    places = {**one.places, **{name: place + len(one.cells) for name, place in other.places.items()}}
    return Row(one.file, one.kind, one.number, [*one.cells, *other.cells], places)
