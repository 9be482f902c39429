"""CSV files as tables of the page."""

from typing import Any

from pipeline.reporting.files import Table
from pipeline.reporting.panels.shared.wording import amount

_MAX_TABLE_ROWS = 200


def _shown(table: Table | None) -> dict[str, Any] | None:
    """A table as the page prints it: at most 200 rows, numbers to four digits."""
    if table is None or not table.rows:
        return None
    rows = [list(map(_cell, row)) for row in table.rows[:_MAX_TABLE_ROWS]]
    names = {name: name.replace("_", " ") for name in table.header}
    words = [names[name] for name in table.header if table.numbers(name) is None]
    return {"header": list(names.values()), "words": words, "rows": rows, "num_rows": len(table.rows)}


def _cell(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return text
    short = len(text) <= 7 and abs(value) < 1e4
    return (text if short else amount(value)).replace("-", "−")
