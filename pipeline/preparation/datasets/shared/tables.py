"""The one reader of publishers' label tables: text, spreadsheets and MATLAB files, known by their first bytes.

Delimiter, decimal mark, encoding, quoting and byte-order mark are guessed from the file, and what was found is said.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pipeline.core.errors import nearest
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.matlab import is_matlab, read_columns
from pipeline.preparation.datasets.shared.reading import raise_all, read_bytes
from pipeline.preparation.datasets.shared.spreadsheet import is_spreadsheet, read_sheets

_DELIMITERS = {",": "commas", ";": "semicolons", "|": "bars", "\t": "tabs"}
"""On a tie the last: a comma may be a decimal mark, and a semicolon stand in a text."""
_BLANKS, _NOTHING = " ", "\n"
_SAMPLED_LINES = 300
_HEADER_LINES = 10
"""A header stands in one of so many first lines; above it may be titles."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
REST = "*"
"""At the end of a list of names: further columns are allowed, and not read."""


@dataclass(frozen=True, slots=True)
class Row(Mapping[str, str]):
    """A row of a table: column → text, without blanks around it; under the file's names and the reader's.

    Attributes:
        file: its name.
        kind: ``row`` or ``entry``.
        number: from 1; of a text file the line.
        cells: as they stand.
        places: column → place in ``cells``.
    """

    file: str
    kind: str
    number: int
    cells: Sequence[str]
    places: Mapping[str, int]

    def __getitem__(self, column: str) -> str:
        return self.cells[self.places[column]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def where(self) -> str:
        """File and row, for messages."""
        return f"{self.file}, {self.kind} {self.number}"


@dataclass(frozen=True)
class Table:
    """What was read of a label file.

    Attributes:
        rows: those that are not empty.
        found: how the file is written, in words.
        problems: what is wrong, though its rows can be used.
    """

    rows: list[Row]
    found: str
    problems: list[str] = field(default_factory=list)


Columns = Mapping[str, str | Sequence[str]]
"""The reader's name of a column → the file's, or several of which the first that is there is taken."""


def read_table(
    path: Path, columns: Columns, *, header: Sequence[str] = (), optional: Collection[str] = (), sheet: str = ""
) -> Table:
    """Reads a label file, whatever kind it is.

    Args:
        path: of the file.
        columns: that must be there; capitals, blanks and signs in a name make no difference.
        header: the columns' names where the file has no header; not used where a first row names ``columns``.
        optional: those of ``columns`` that the file may lack.
        sheet: of a spreadsheet; empty takes the first that has the columns.

    Raises:
        DatasetError: the file cannot be read, lacks a column, or has rows of the wrong length; all of them are named.
    """
    data = read_bytes(path)
    if is_matlab(data):
        return _from_matlab(path, columns, optional)
    wanted = {ours: (names,) if isinstance(names, str) else tuple(names) for ours, names in columns.items()}
    if is_spreadsheet(data):
        return _from_spreadsheet(path, data, wanted, optional, sheet)
    lines, found = _text_lines(path, data, wanted, optional)
    return _from_lines(path, lines, found, wanted, optional, header)


def read_rows(path: Path, columns: Sequence[str], *, header: Sequence[str] = ()) -> list[Row]:
    """As ``read_table``, for columns that the caller names as the file does."""
    return read_table(path, {column: column for column in columns}, header=header).rows


_Lines = list[tuple[int, list[str]]]
_Wanted = Mapping[str, tuple[str, ...]]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _places(names: Sequence[str], wanted: _Wanted) -> dict[str, int]:
    """The reader's name → place, for those columns that are there."""
    exact = {name: place for place, name in reversed(list(enumerate(names))) if name}
    plain = {_plain(name): place for name, place in exact.items()}
    found: dict[str, int] = {}
    for ours, known in wanted.items():
        places = [exact.get(name, plain.get(_plain(name) or name)) for name in known]
        place = next((place for place in places if place is not None), None)
        if place is not None:
            found[ours] = place
    return found


def _from_lines(
    path: Path, lines: _Lines, found: str, wanted: _Wanted, optional: Collection[str], header: Sequence[str]
) -> Table:
    required = [ours for ours in wanted if ours not in optional]
    asked = ", ".join(wanted[ours][0] for ours in required)
    if not lines:
        raise DatasetError(f"{path} is empty; expected a table with the columns {asked}")
    at = _header_line(lines, wanted, required)
    if at is not None or not header:
        first, lines = lines[at or 0][1], lines[(at or 0) + 1 :]
        named = max((place for place, name in enumerate(first) if name), default=0) + 1
        names, more = first[:named], named < len(first)
    else:
        names, more = [name for name in header if name != REST], REST in header
        found += ", no header"
    _check_names(path, names, wanted, required)
    if not lines:
        raise DatasetError(f"{path} has a header and no rows; expected a row for each video")
    raise_all(
        [
            f"{path}, row {number}: got {len(line)} columns; expected {len(names)} (a comma in a value needs quotes "
            "round the value, a decimal comma is written as a point)"
            for number, line in lines
            if len(line) < len(names) or (not more and any(line[len(names) :]))
        ]
    )
    places = {name: place for place, name in enumerate(names) if name} | _places(names, wanted)
    marked = _decimal_commas([line for _, line in lines], len(names))
    for _, line in lines:
        for place in marked:
            line[place] = line[place].replace(",", ".")
    if marked:
        found += ", decimal commas"
    return Table([Row(path.name, "row", number, line, places) for number, line in lines], found)


def _header_line(lines: _Lines, wanted: _Wanted, required: Sequence[str]) -> int | None:
    """Which of the first lines names all columns that must be there."""
    for at, (_, line) in enumerate(lines[:_HEADER_LINES]):
        found = _places(line, wanted).keys()
        if found and found >= set(required):
            return at
    return None


def _check_names(path: Path, names: Sequence[str], wanted: _Wanted, required: Sequence[str]) -> None:
    there = _places(names, wanted)
    known = {name.lower(): name for name in names}
    raise_all(
        [
            f"{path}: no column {' or '.join(map(repr, wanted[ours]))}; it has {', '.join(names)}"
            f"{nearest(wanted[ours][0].lower(), known)}"
            for ours in required
            if ours not in there
        ]
    )
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    raise_all([f"{path}: {twice[0]!r} names two columns; rename one"] if twice else [])


def _decimal_commas(lines: Sequence[Sequence[str]], count: int) -> list[int]:
    """The columns in which every value is a number and some are written with a decimal comma, none with a point."""
    marked = []
    for place in range(count):
        values = [line[place] for line in lines if line[place]]
        if any(_DECIMAL_COMMA.fullmatch(value) for value in islice(values, _SAMPLED_LINES)) and all(
            "." not in value and _NUMBER.fullmatch(value) for value in values
        ):
            marked.append(place)
    return marked


def _text_lines(path: Path, data: bytes, wanted: _Wanted, optional: Collection[str]) -> tuple[_Lines, str]:
    """The lines that are not empty, cut into cells, and how the text is written."""
    text, encoding = _decoded(data)
    if "\0" in text:
        raise DatasetError(f"{path} is no text table (it holds zero bytes); export it as CSV")
    delimiter = _delimiter(text, [ours for ours in wanted if ours not in optional], wanted)
    between = {**_DELIMITERS, _BLANKS: "blanks", _NOTHING: "nothing"}[delimiter]
    words = [f"{between} between columns", encoding]
    words += ["quoted"] if delimiter in ",;\t" and '"' in text else []
    words += ["CRLF"] if "\r\n" in text else []
    try:
        lines = [(number, line) for number, line in _cut(text, delimiter) if any(line)]
    except csv.Error as error:
        raise DatasetError(f"{path}: not CSV: {error}") from None
    return lines, ", ".join(words)


def _decoded(data: bytes) -> tuple[str, str]:
    for mark, encoding, word in (
        (b"\xef\xbb\xbf", "utf-8-sig", "UTF-8 with a byte-order mark"),
        (b"\xff\xfe", "utf-16", "UTF-16"),
        (b"\xfe\xff", "utf-16", "UTF-16"),
        (b"", "utf-8", "UTF-8"),
        (b"", "cp1252", "Windows-1252"),
    ):
        if data.startswith(mark):
            try:
                return data.decode(encoding), word
            except UnicodeDecodeError:
                continue
    return data.decode("latin-1"), "Latin-1"


def _cut(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    if delimiter in (_BLANKS, _NOTHING):
        for number, written in enumerate(text.splitlines(), start=1):
            yield number, written.split() if delimiter == _BLANKS else [written.strip()]
        return
    source = io.StringIO(text, newline="")
    if delimiter == "|":
        reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True)
    for line in reader:
        yield reader.line_num, [value.strip() for value in line]


def _delimiter(text: str, required: Sequence[str], wanted: _Wanted) -> str:
    """What divides the columns: names the header, then cuts most rows alike."""
    ranked = []
    for order, delimiter in enumerate(_DELIMITERS):
        try:
            lines = [line for _, line in islice(_cut(text, delimiter), _SAMPLED_LINES) if any(line)]
        except csv.Error:
            continue
        length, count = Counter(map(len, lines)).most_common(1)[0] if lines else (0, 0)
        header = _header_line(list(enumerate(lines)), wanted, required)
        named = 0 if header is None or len(wanted) == 1 else len(_places(lines[header], wanted))
        if length > 1:
            ranked.append((named, round(count / len(lines), 2), order, delimiter))
    return max(ranked)[-1] if ranked else _BLANKS if len(wanted) > 1 else _NOTHING


def _from_spreadsheet(path: Path, data: bytes, wanted: _Wanted, optional: Collection[str], sheet: str) -> Table:
    sheets = read_sheets(path, data)
    if sheet and sheet not in sheets:
        raise DatasetError(f"{path}: no sheet {sheet!r}; it has {', '.join(sheets)}")
    required = [ours for ours in wanted if ours not in optional]
    for name, lines in sheets.items():
        if sheet in ("", name) and _header_line(lines, wanted, required) is not None:
            at = _header_line(lines, wanted, required) or 0
            places = _places(lines[at][1], wanted)
            places = {cell: place for place, cell in enumerate(lines[at][1]) if cell} | places
            width = max(len(line) for _, line in lines)
            rows = [(number, [*line, *[""] * (width - len(line))]) for number, line in lines[at + 1 :]]
            rows = [(number, line) for number, line in rows if any(line[places[ours]] for ours in required)]
            found = f"spreadsheet, sheet {name!r}"
            return Table([Row(path.name, "row", number, line, places) for number, line in rows], found)
    asked = ", ".join(wanted[ours][0] for ours in required)
    raise DatasetError(f"{path}: no sheet has a row that names {asked}; it has {', '.join(sheets)}")


def _from_matlab(path: Path, columns: Columns, optional: Collection[str]) -> Table:
    """The entries of a MATLAB file's variables, side by side; variables of different lengths are a problem."""
    names = {ours: (name,) if isinstance(name, str) else tuple(name) for ours, name in columns.items()}
    values, found = read_columns(path, names, optional)
    lengths = {name: len(column) for name, column in values.items()}
    problems = []
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{count} of {names[name][0]}" for name, count in lengths.items())
        problems.append(f"{path}: got {counts}; expected as many of each; download it again")
    shortest = min(lengths.values())
    if not shortest:
        raise DatasetError(f"{path}: {' and '.join(name for name, size in lengths.items() if not size)} is empty")
    places = {name: place for place, name in enumerate(values)}
    cells = zip(*(column[:shortest] for column in values.values()), strict=True)
    return Table([Row(path.name, "entry", number, row, places) for number, row in enumerate(cells, 1)], found, problems)
