"""CSV files that a stage writes: a header and rows, for people, plots and the report."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.records import replacing


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows that have the same columns.

    Args:
        path: the file; replaced in one step.
        rows: column → value; the first row's order is the header's. Without rows the file is empty.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        if rows:
            writer.writeheader()
        writer.writerows(rows)
