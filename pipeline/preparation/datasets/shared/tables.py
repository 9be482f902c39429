"""Publishers' label tables: delimited text, and MATLAB files of both kinds, distinguished by their first bytes."""

import csv
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import nearest
from pipeline.preparation.datasets.shared.entry import DatasetError

_LARGEST_TABLE_BYTES = 1 << 30
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        where: file and row, for messages.
        values: column → text, without blanks around it.
    """

    where: str
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


def read_rows(
    path: Path, columns: Sequence[str], *, header: Sequence[str] | None = None, blanks: bool = False
) -> list[Row]:
    """Reads a delimited table.

    Args:
        path: of the file: UTF-8, or Latin-1 where it is not; with commas, semicolons or tabs.
        columns: that must be there; found whatever their case, and named in the rows as they are here.
        header: the columns' names where the file has no header; a first row that repeats them is taken as one.
        blanks: columns are divided by blanks.

    Returns:
        The rows that are not empty.

    Raises:
        DatasetError: the file cannot be read, lacks a column, or has rows of the wrong length; all of them are named.
    """
    lines = [(number, line) for number, line in _lines(path, blanks) if any(line)]
    if not lines:
        raise DatasetError(f"{path} is empty; expected a table with the columns {', '.join(columns)}")
    first = [name.lower() for name in lines[0][1]]
    if header is not None:
        names = list(header)
        if first[: len(names)] == [name.lower() for name in names]:
            lines = lines[1:]
    else:
        names, lines = lines[0][1], lines[1:]
    names = _named(path, names, columns)
    if not lines:
        raise DatasetError(f"{path} has a header and no rows; expected a row for each video")
    problems = [
        f"{path}, row {number}: got {len(line)} columns; expected {len(names)} (a decimal comma is written as a point)"
        for number, line in lines
        if len(line) < len(names) or (not blanks and any(line[len(names) :]))
    ]
    raise_all(problems)
    return [
        Row(f"{path.name}, row {number}", dict(zip(names, line[: len(names)], strict=True))) for number, line in lines
    ]


def _lines(path: Path, blanks: bool) -> list[tuple[int, list[str]]]:
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if "\0" in text:
        raise DatasetError(f"{path} is no text table (it holds zero bytes); export it as CSV")
    if blanks:
        return [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1)]
    first = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        return [(reader.line_num, [value.strip() for value in line]) for line in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}, row {reader.line_num}: not CSV: {error}") from None


def _named(path: Path, names: list[str], columns: Sequence[str]) -> list[str]:
    """The header with the names that the caller uses."""
    by_lower = {name.lower(): name for name in names}
    missing = [column for column in columns if column.lower() not in by_lower]
    raise_all(
        [
            f"{path}: no column {column!r}; it has {', '.join(names)}{nearest(column.lower(), by_lower)}"
            for column in missing
        ]
    )
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    raise_all([f"{path}: {twice[0]!r} names two columns; rename one"] if twice else [])
    wanted = {column.lower(): column for column in columns}
    return [wanted.get(name.lower(), name) for name in names]


def read_mat(path: Path, numbers: Sequence[str], texts: Sequence[str] = ()) -> dict[str, Any]:
    """Reads variables of a MATLAB file, version 5 through scipy or 7.3 through h5py.

    Args:
        path: of the file; its first bytes tell the version, its name does not.
        numbers: variables that must be there, of numbers.
        texts: variables that must be there, of names.

    Returns:
        Variable → float64 in MATLAB's shape; list of text for those of names.

    Raises:
        DatasetError: the file is no MATLAB file, is damaged, lacks a variable, or has it of another kind.
    """
    values = _read_variables(path, [*texts, *numbers])
    raise_all(
        [f"{path}: {name} holds no numbers; export it anew" for name in numbers if isinstance(values[name], list)]
        + [f"{path}: {name} holds no text; export it as names" for name in texts if not isinstance(values[name], list)]
    )
    return values


def _read_variables(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    with path.open("rb") as file:
        head = file.read(_HDF5_OFFSETS[-1] + len(_HDF5_SIGNATURE))
    if any(head[offset:].startswith(_HDF5_SIGNATURE) for offset in _HDF5_OFFSETS):
        return _read_hdf5(path, variables)
    if head.startswith(b"MATLAB 5.0") or head[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
        return _read_mat5(path, variables)
    raise DatasetError(f"{path} is no MATLAB file of version 5 or 7.3 (it begins with {head[:8]!r}); download it again")


def _read_mat5(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, variable_names=list(variables), squeeze_me=False, chars_as_strings=True)
    except (MatReadError, ValueError, TypeError, LookupError, EOFError, OSError, MemoryError, zlib.error) as error:
        raise DatasetError(f"{path} is a damaged MATLAB file: {error}; download it again") from None
    _check_variables(path, variables, [name for name in found if not name.startswith("__")])
    return {name: _plain(path, name, found[name]) for name in variables}


def _plain(path: Path, name: str, value: np.ndarray) -> Any:
    if value.dtype == object:
        return [_text(path, name, item) for item in value.ravel(order="F")]
    if value.dtype.kind in "US":
        return [str(item).strip() for item in value.ravel(order="F")]
    return value.astype(np.float64)


def _text(path: Path, name: str, item: Any) -> str:
    while isinstance(item, np.ndarray) and item.size == 1:
        item = item.ravel()[0]
    if not isinstance(item, str):
        raise DatasetError(f"{path}: {name} holds {type(item).__name__}; expected text in every cell")
    return item.strip()


def _read_hdf5(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_variables(path, variables, [name for name in file if not name.startswith("#")])
            return {name: _from_hdf5(path, file, _dataset(path, file, name)) for name in variables}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise DatasetError(f"{path} is a damaged MATLAB 7.3 file: {error}; download it again") from None


def _dataset(path: Path, file: Any, name: Any) -> Any:
    """An array of this very file; what it claims to hold was seen to be small before any of it is read."""
    import h5py

    if isinstance(name, str) and not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DatasetError(f"{path}: {name} is a link to elsewhere; export the table again")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise DatasetError(f"{path}: {name} is no array of this file; export the table again")
    if dataset.size is None or dataset.size * dataset.dtype.itemsize > _LARGEST_TABLE_BYTES:
        raise DatasetError(f"{path}: {name} claims {dataset.size} values of {dataset.dtype}; download it again")
    return dataset


def _from_hdf5(path: Path, file: Any, dataset: Any) -> Any:
    import h5py

    if h5py.check_ref_dtype(dataset.dtype) is not None:
        # HDF5 has MATLAB's axes in reverse; each cell refers to an array of UTF-16 units.
        return [_characters(_dataset(path, file, reference)[()]) for reference in dataset[()].T.ravel(order="F")]
    if dataset.dtype.kind == "u" and dataset.dtype.itemsize == 2:
        return [_characters(row) for row in np.atleast_2d(dataset[()].T)]
    return dataset[()].T.astype(np.float64)


def _characters(units: np.ndarray) -> str:
    return units.ravel().astype("<u2").tobytes().decode("utf-16-le", "replace").strip("\0 ")


def _check_variables(path: Path, variables: Sequence[str], known: Sequence[str]) -> None:
    raise_all(
        [
            f"{path}: no variable {name!r}; it has {', '.join(known) or 'none'}{nearest(name, known)}"
            for name in variables
            if name not in known
        ]
    )


def read_bytes(path: Path) -> bytes:
    """A whole table.

    Raises:
        DatasetError: it cannot be read, or is too large to be a table.
    """
    try:
        if path.stat().st_size > _LARGEST_TABLE_BYTES:
            raise DatasetError(f"{path} has {path.stat().st_size} bytes, too many for a table of labels")
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None


def raise_all(problems: Sequence[str], shown: int = 50) -> None:
    """Raises when there are problems.

    Raises:
        DatasetError: with the first ``shown`` of them and the number of the others.
    """
    if problems:
        rest = len(problems) - shown
        raise DatasetError("\n".join([*problems[:shown], *([f"… and {rest} more"] if rest > 0 else [])]))
