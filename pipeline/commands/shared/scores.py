"""Scores on paper: rows of a table or CSV, JSON, JSON lines; and taking up an output that was left unfinished."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from pipeline.commands.shared.names import written
from pipeline.commands.shared.resume import COLUMNS, ResumeError
from pipeline.scoring.scores import VideoScore

SEGMENT_COLUMNS = [
    "path",
    "status",
    "start_seconds",
    "stop_seconds",
    "score",
    "low",
    "high",
    "out_of_domain",
    "score_name",
    "dataset",
    "model",
    "error",
]
_DECIMALS = 4


@dataclass(frozen=True)
class Outcome:
    """What became of a video: a score, or the reason why it has none."""

    path: Path
    score: VideoScore | None
    error: str = ""

    @property
    def name(self) -> str:
        """The path as a line of text that can be written anywhere."""
        return written(self.path)


class Writer(Protocol):
    """Takes outcomes as they come."""

    def write(self, outcome: Outcome) -> None:
        """Adds one."""

    def finish(self) -> None:
        """Writes what could not be written before the last one was known."""


def row(outcome: Outcome, settings: Mapping[str, str]) -> dict[str, Any]:
    """An outcome as a flat row, numbers unrounded; `COLUMNS` are its keys."""
    values: dict[str, Any] = dict.fromkeys(COLUMNS)
    values |= {"path": outcome.name, "status": "ok", **settings}
    if outcome.score is None:
        return values | {"status": "failed", "error": outcome.error}
    scored = asdict(outcome.score) | {"seconds": outcome.score.seconds, "notes": "; ".join(outcome.score.notes)}
    return values | {key: scored[key] for key in COLUMNS if key in scored and key not in settings}


def document(outcome: Outcome, settings: Mapping[str, str]) -> dict[str, Any]:
    """An outcome as a JSON document: the row, then views, segments and curve."""
    values = row(outcome, settings)
    if outcome.score is not None:
        scored = asdict(outcome.score)
        values |= {key: scored[key] for key in ("view_scores", "segments", "curve")}
    return values


def segment_rows(outcome: Outcome, settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """An outcome as a row per segment; `SEGMENT_COLUMNS` are their keys."""
    whole = {key: value for key, value in row(outcome, settings).items() if key in SEGMENT_COLUMNS}
    whole = {**dict.fromkeys(SEGMENT_COLUMNS), **whole}
    if outcome.score is None:
        return [whole]
    return [
        whole | {key: value for key, value in asdict(segment).items() if key in SEGMENT_COLUMNS}
        for segment in outcome.score.segments
    ]


@contextmanager
def open_writer(
    form: str, output: Path | None, *, appending: bool, per_segment: bool, settings: Mapping[str, str]
) -> Iterator[Writer]:
    """Where outcomes go.

    Args:
        form: ``table``, ``csv``, ``json`` or ``jsonl``.
        output: a file; None is standard output.
        appending: whether to go on after what the file has.
        per_segment: whether a row is a segment.
        settings: model and options that the scores depend on; written with each.

    Raises:
        ResumeError: the file cannot be written.
    """
    if output is None:
        writer = _make(form, sys.stdout, False, per_segment, settings)
        yield writer
        writer.finish()
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        file = output.open("a" if appending else "w", encoding="utf-8", newline="")
    except OSError as error:
        raise ResumeError(f"cannot write {output}: {error.strerror}") from None
    with file:
        writer = _make(form, file, file.tell() > 0, per_segment, settings)
        yield writer
        writer.finish()


def _make(form: str, file: TextIO, begun: bool, per_segment: bool, settings: Mapping[str, str]) -> Writer:
    if form == "csv":
        return _Csv(file, begun, per_segment, settings)
    if form == "jsonl":
        return _JsonLines(file, settings)
    return _Json(file, settings) if form == "json" else _Table(file, per_segment, settings)


class _Csv:
    def __init__(self, file: TextIO, begun: bool, per_segment: bool, settings: Mapping[str, str]) -> None:
        self._file, self._per_segment, self._settings = file, per_segment, settings
        if not begun:
            self._put(SEGMENT_COLUMNS if per_segment else COLUMNS)

    def write(self, outcome: Outcome) -> None:
        rows = segment_rows(outcome, self._settings) if self._per_segment else [row(outcome, self._settings)]
        for values in rows:
            self._put([_text(value) for value in values.values()])

    def finish(self) -> None:
        """Everything is written already."""

    def _put(self, values: list[str]) -> None:
        """A line at once, without line breaks inside, so that a kill leaves whole lines and one torn one at most."""
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([" ".join(value.splitlines()) for value in values])
        self._file.write(line.getvalue())
        self._file.flush()


class _JsonLines:
    def __init__(self, file: TextIO, settings: Mapping[str, str]) -> None:
        self._file, self._settings = file, settings

    def write(self, outcome: Outcome) -> None:
        self._file.write(json.dumps(document(outcome, self._settings), ensure_ascii=False) + "\n")
        self._file.flush()

    def finish(self) -> None:
        """Everything is written already."""


class _Json:
    def __init__(self, file: TextIO, settings: Mapping[str, str]) -> None:
        self._file, self._settings = file, settings
        self._documents: list[dict[str, Any]] = []

    def write(self, outcome: Outcome) -> None:
        self._documents.append(document(outcome, self._settings))

    def finish(self) -> None:
        self._file.write(json.dumps(self._documents, ensure_ascii=False, indent=1) + "\n")


class _Table:
    def __init__(self, file: TextIO, per_segment: bool, settings: Mapping[str, str]) -> None:
        self._file, self._per_segment, self._settings = file, per_segment, settings
        self._outcomes: list[Outcome] = []

    def write(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)

    def finish(self) -> None:
        lines: list[tuple[str, ...]] = [_SEGMENT_HEADS if self._per_segment else _HEADS]
        for outcome in self._outcomes:
            lines += _segment_cells(outcome) if self._per_segment else [_cells(outcome)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            first, *others = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            self._file.write("  ".join([first, *others]).rstrip() + "\n")
        scored = [outcome.score for outcome in self._outcomes if outcome.score is not None]
        if scored:
            self._file.write(
                f"\n{scored[0].score_name} of {scored[0].dataset}, {scored[0].scale_low:g} (worst) to "
                f"{scored[0].scale_high:g} (best); interval of 95 %\n"
            )


_HEADS = ("VIDEO", "SCORE", "INTERVAL", "MEAN", "HARMONIC", "5 %", "SECONDS", "")
_SEGMENT_HEADS = ("VIDEO", "FROM", "TO", "SCORE", "INTERVAL", "")
_OUT = "out of domain"


def _cells(outcome: Outcome) -> tuple[str, ...]:
    scored = outcome.score
    if scored is None:
        return (outcome.name, "-", "-", "-", "-", "-", "-", outcome.error)
    pooled = (f"{value:.1f}" for value in (scored.mean, scored.harmonic_mean, scored.percentile_5, scored.seconds))
    interval = f"{scored.low:.1f} … {scored.high:.1f}"
    return (outcome.name, f"{scored.score:.1f}", interval, *pooled, _OUT if scored.out_of_domain else "")


def _segment_cells(outcome: Outcome) -> list[tuple[str, ...]]:
    if outcome.score is None:
        return [(outcome.name, "-", "-", "-", "-", outcome.error)]
    return [
        (
            outcome.name,
            f"{part.start_seconds:.2f}",
            f"{part.stop_seconds:.2f}",
            f"{part.score:.1f}",
            f"{part.low:.1f} … {part.high:.1f}",
            _OUT if outcome.score.out_of_domain else "",
        )
        for part in outcome.score.segments
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.{_DECIMALS}f}" if isinstance(value, float) else str(value)
