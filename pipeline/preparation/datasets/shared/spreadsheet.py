"""Sheets of ``.xlsx`` files as rows of text; what cells look like, and how they were computed, is not read.

A workbook is a zip file of XML. The standard library reads both, and publishers' label files need no more: openpyxl
would be a dependency for four data sets.
"""

import io
import re
import zipfile
import zlib
from pathlib import Path
from xml.etree import ElementTree

from pipeline.preparation.datasets.shared.entry import DatasetError

_SIGNATURE = b"PK\x03\x04"
_MAX_PART_BYTES = 256 << 20
_MAX_COLUMNS = 1 << 14
_NAMES = "{*}"

Sheet = list[tuple[int, list[str]]]
"""Number of the row, and its cells."""


def is_spreadsheet(head: bytes) -> bool:
    """Whether a file that begins so may be a workbook."""
    return head.startswith(_SIGNATURE)


def read_sheets(path: Path, data: bytes) -> dict[str, Sheet]:
    """The sheets of a workbook, by name, in its order; without rows that are empty.

    Raises:
        DatasetError: it is no workbook, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as workbook:
            shared = _shared_texts(workbook)
            return {name: _rows(_xml(workbook, part), shared) for name, part in _parts(workbook).items()}
    except (
        zipfile.BadZipFile,
        ElementTree.ParseError,
        KeyError,
        ValueError,
        LookupError,
        StopIteration,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        raise DatasetError(f"{path} is no spreadsheet that can be read: {error}; export it as CSV") from None


def _xml(workbook: zipfile.ZipFile, part: str) -> ElementTree.Element:
    if workbook.getinfo(part).file_size > _MAX_PART_BYTES:
        raise ValueError(f"{part} claims {workbook.getinfo(part).file_size} bytes")
    data = workbook.read(part)
    if b"<!DOCTYPE" in data[:4096]:
        raise ValueError(f"{part} declares a document type")
    return ElementTree.fromstring(data)


def _parts(workbook: zipfile.ZipFile) -> dict[str, str]:
    """Sheet → its part of the zip file."""
    relations = {item.get("Id"): item.get("Target", "") for item in _xml(workbook, "xl/_rels/workbook.xml.rels")}
    sheets = _xml(workbook, "xl/workbook.xml").iterfind(f"{_NAMES}sheets/{_NAMES}sheet")
    targets = {sheet.get("name", ""): relations[_relation(sheet)] for sheet in sheets}
    return {
        name: target.removeprefix("/") if target.startswith("/") else f"xl/{target}" for name, target in targets.items()
    }


def _relation(sheet: ElementTree.Element) -> str:
    return next(value for name, value in sheet.attrib.items() if name.endswith("}id"))


def _shared_texts(workbook: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in workbook.namelist():
        return []
    return [_text(item) for item in _xml(workbook, "xl/sharedStrings.xml").iterfind(f"{_NAMES}si")]


def _text(item: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in item.iterfind(f".//{_NAMES}t")).strip()


def _rows(sheet: ElementTree.Element, shared: list[str]) -> Sheet:
    rows: Sheet = []
    for order, row in enumerate(sheet.iterfind(f".//{_NAMES}row"), start=1):
        cells: list[str] = []
        for cell in row.iterfind(f"{_NAMES}c"):
            place = _place(cell.get("r", ""), len(cells))
            cells += [""] * (place - len(cells))
            cells.append(_value(cell, shared))
        if any(cells):
            rows.append((int(row.get("r") or order), cells))
    return rows


def _place(reference: str, following: int) -> int:
    """Column of a cell such as ``AB12``, from 0; where it is not named, that after the last."""
    letters = re.match(r"[A-Z]+", reference)
    if not letters:
        return following
    place = 0
    for letter in letters[0]:
        place = place * 26 + ord(letter) - 64
        if place > _MAX_COLUMNS:
            raise ValueError(f"the cell {reference} is beyond the last column")
    return max(place - 1, following)


def _value(cell: ElementTree.Element, shared: list[str]) -> str:
    kind, value = cell.get("t", "n"), cell.findtext(f"{_NAMES}v", "")
    if kind == "inlineStr":
        return _text(cell)
    if kind == "s":
        return shared[int(value)]
    if kind == "e":
        return ""
    return _number(value.strip()) if kind == "n" else value.strip()


def _number(text: str) -> str:
    """A number as people write it: ``1600``, not ``1600.0``."""
    return text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text
