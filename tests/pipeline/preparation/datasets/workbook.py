"""Writes workbooks as spreadsheet programs do: shared texts, numbers, empty cells left out."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[str | float]]]) -> None:
    """Writes sheets of rows; an empty text is no cell, an empty row no row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts: list[str] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        names = "".join(f'<sheet name="{escape(n)}" sheetId="{i}" r:id="rId{i}"/>' for i, n in enumerate(sheets, 1))
        book.writestr("xl/workbook.xml", f"<workbook {_MAIN} {_RELATIONS}><sheets>{names}</sheets></workbook>")
        links = "".join(
            f'<Relationship Id="rId{i}" Target="worksheets/sheet{i}.xml"/>' for i in range(1, len(sheets) + 1)
        )
        book.writestr("xl/_rels/workbook.xml.rels", f"<Relationships {_PACKAGE}>{links}</Relationships>")
        for number, rows in enumerate(sheets.values(), start=1):
            body = "".join(_row(place, row, texts) for place, row in enumerate(rows, start=1) if row)
            book.writestr(
                f"xl/worksheets/sheet{number}.xml", f"<worksheet {_MAIN}><sheetData>{body}</sheetData></worksheet>"
            )
        items = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
        book.writestr("xl/sharedStrings.xml", f"<sst {_MAIN}>{items}</sst>")


def _row(number: int, row: Sequence[str | float], texts: list[str]) -> str:
    cells = []
    for column, value in enumerate(row):
        place = f"{chr(65 + column)}{number}"
        if isinstance(value, str) and value:
            texts.append(value)
            cells.append(f'<c r="{place}" t="s"><v>{len(texts) - 1}</v></c>')
        elif not isinstance(value, str):
            cells.append(f'<c r="{place}"><v>{value}</v></c>')
    return f'<row r="{number}">{"".join(cells)}</row>'
