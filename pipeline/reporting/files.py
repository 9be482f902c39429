"""The files of a run as checked values; one that is there but malformed is an error, never a silent gap."""

import csv
import io
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from pipeline.core.errors import PipelineError

_Kind = TypeVar("_Kind")
_Row = TypeVar("_Row", bound=BaseModel)


class ReportError(PipelineError):
    """A file that the report needs is missing or malformed."""


def read_json(path: Path, kind: type[_Kind]) -> _Kind | None:
    """The value in a JSON file, checked against ``kind``; None when the file is absent.

    Raises:
        ReportError: it is no JSON, or not of that kind.
    """
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read {path}: {error}; run the stage that writes it again") from None
    return _checked(kind, values, str(path))


def read_rows(path: Path, kind: type[_Row]) -> list[_Row]:
    """The rows of a CSV file, an empty cell as None; no rows when the file is absent or empty.

    Args:
        path: of the file.
        kind: a model with a field for each column that must be there; other columns are ignored.

    Raises:
        ReportError: it is no table, or a row is not of that kind.
    """
    header, rows = _read_table(path)
    if missing := [name for name in kind.model_fields if header and name not in header]:
        raise ReportError(f"{path}: got the header {','.join(header)}; it lacks {', '.join(missing)}")
    return [
        _checked(kind, {name: text or None for name, text in zip(header, row, strict=True)}, f"{path}, row {number}")
        for number, row in enumerate(rows, start=2)
    ]


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of a CSV file of numbers, each float64 ``(rows,)`` with NaN where empty; none without rows.

    Raises:
        ReportError: it is no table, or a cell is no number.
    """
    header, rows = _read_table(path)
    columns = {name: [row[place] or "nan" for row in rows] for place, name in enumerate(header) if rows}
    try:
        return {name: np.asarray(texts, np.float64) for name, texts in columns.items()}
    except ValueError as error:
        raise ReportError(f"{path}: {error}; expected numbers; run the stage that writes it again") from None


def _read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows; both are empty where the file is, as a stage leaves it that had no row to write."""
    if not path.exists():
        return [], []
    try:
        lines = [line for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise ReportError(f"cannot read {path}: {error}; run the stage that writes it again") from None
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    if len(set(header)) < len(header):
        raise ReportError(f"{path}: got the header {','.join(header)}; expected each name once")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ReportError(f"{path}, row {number}: got {len(row)} columns; expected {len(header)}")
    return header, rows


def _checked(kind: type[_Kind], values: Any, where: str) -> _Kind:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ", ".join([where, *map(str, first["loc"])])
        raise ReportError(
            f"{place}: got {first['input']!r}; {first['msg'].replace('Input should', 'it must')}"
        ) from None
