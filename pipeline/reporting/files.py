"""The files of a run as plain values; one that is there but malformed is an error, never a silent gap."""

import csv
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import PipelineError


class ReportError(PipelineError):
    """A file that the report needs is missing or malformed."""


@dataclass(frozen=True)
class Table:
    """A CSV file: its header and rows, as text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self, name: str) -> list[str]:
        """The column ``name``."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]

    def numbers(self, name: str) -> np.ndarray | None:
        """The column as float64 ``(rows,)``, NaN where empty; None when a value is not a number or all are empty."""
        values = []
        for text in self.text(name):
            try:
                values.append(float(text) if text else math.nan)
            except ValueError:
                return None
        return np.asarray(values) if any(math.isfinite(value) for value in values) else None


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None when the file is absent.

    Raises:
        ReportError: it holds no object.
    """
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read {path}: {error}; run the stage that writes it again") from None
    if not isinstance(values, dict):
        raise ReportError(f"{path}: got {type(values).__name__}; expected one JSON object")
    return values


def read_table(path: Path) -> Table | None:
    """The table in a CSV file; None when the file is absent or empty, as a stage leaves it that had no row to write.

    Raises:
        ReportError: it is no table.
    """
    if not path.exists():
        return None
    try:
        lines = [line for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise ReportError(f"cannot read {path}: {error}; run the stage that writes it again") from None
    if not lines:
        return None
    header, rows = lines[0], lines[1:]
    if len(set(header)) < len(header):
        raise ReportError(f"{path}: a column name stands twice in {','.join(header)}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ReportError(f"{path}, row {number}: got {len(row)} columns; expected {len(header)}")
    return Table(tuple(header), tuple(tuple(row) for row in rows))


def number_in(text: str, where: str) -> float:
    """A finite number.

    Raises:
        ReportError: the text is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ReportError(f"{where}: got {text!r}; expected a finite number")
    return value
