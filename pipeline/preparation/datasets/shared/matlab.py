"""MATLAB files of label tables: version 5 through scipy, 7.3 through h5py, known by their first bytes."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import nearest
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.reading import LARGEST_TABLE_BYTES, raise_all
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)
_LIMITS = Limits(seconds=120.0, memory_bytes=4 << 30, cpu_seconds=120.0)
_HEAD_BYTES = _HDF5_OFFSETS[-1] + len(_HDF5_SIGNATURE)


def is_matlab(head: bytes) -> bool:
    """Whether a file that begins so is a MATLAB file."""
    return _is_hdf5(head) or head.startswith(b"MATLAB 5.0") or head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def read_columns(
    path: Path, names: Mapping[str, Sequence[str]], optional: Collection[str]
) -> tuple[dict[str, list[str]], str]:
    """Reads variables as columns of text.

    Args:
        path: of the file.
        names: the reader's name → variables of which the first that is there is taken; ``a.b`` is the field b of a.
        optional: those that the file may lack.

    Returns:
        The reader's name → the variable's entries, in MATLAB's order; and the kind of file, in words.

    Raises:
        DatasetError: the file is damaged or lacks a variable.
    """
    candidates = [name for variables in names.values() for name in variables]
    values = _read_variables(path, candidates, all_of_them=False)
    chosen = {ours: next((name for name in known if name in values), "") for ours, known in names.items()}
    missing = [names[ours][0] for ours, name in chosen.items() if not name and ours not in optional]
    if missing:
        _read_variables(path, missing)  # refuses, and says what the file has instead
    columns = {ours: _as_texts(values[name]) for ours, name in chosen.items() if name}
    return columns, "MATLAB 7.3" if _is_hdf5(_head(path)) else "MATLAB 5"


def _as_texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    numbers = value.ravel(order="F").tolist()
    return [str(int(number)) if number.is_integer() else repr(number) for number in numbers]


def _is_hdf5(head: bytes) -> bool:
    return any(head[offset:].startswith(_HDF5_SIGNATURE) for offset in _HDF5_OFFSETS)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


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


def _read_variables(path: Path, variables: Sequence[str], *, all_of_them: bool = True) -> dict[str, Any]:
    head = _head(path)
    if _is_hdf5(head):
        return _read_hdf5(path, variables, all_of_them)
    if is_matlab(head):
        return _read_apart(path, variables, all_of_them)
    raise DatasetError(f"{path} is no MATLAB file of version 5 or 7.3 (it begins with {head[:8]!r}); download it again")


def _read_apart(path: Path, variables: Sequence[str], all_of_them: bool) -> dict[str, Any]:
    """In a process of its own: on a damaged cell array or struct scipy's reader may crash."""
    tasks = [(path, variables, all_of_them)]
    ((_, outcome),) = LocalWorkers(1, _LIMITS).map(_outcome, tasks)
    if isinstance(outcome, Lost):
        raise DatasetError(f"{path} is a damaged MATLAB file: {outcome.reason}; download it again")
    if isinstance(outcome, str):
        raise DatasetError(outcome)
    return outcome


def _outcome(task: tuple[Path, Sequence[str], bool]) -> dict[str, Any] | str:
    """The variables, or what is wrong."""
    try:
        return _read_mat5(*task)
    except DatasetError as error:
        return str(error)


def _read_mat5(path: Path, variables: Sequence[str], all_of_them: bool) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    roots = list(dict.fromkeys(name.partition(".")[0] for name in variables))
    try:
        found = loadmat(path, variable_names=roots, squeeze_me=False, chars_as_strings=True)
        known = [name for name, *_ in whosmat(path)] if all_of_them else []
    except (MatReadError, ValueError, TypeError, LookupError, EOFError, OSError, MemoryError, zlib.error) as error:
        raise DatasetError(f"{path} is a damaged MATLAB file: {error}; download it again") from None
    if all_of_them:
        _check_variables(path, roots, known)
    values = {name: _field(found.get(name.partition(".")[0]), name) for name in variables}
    return {name: _plain(path, name, value) for name, value in values.items() if isinstance(value, np.ndarray)}


def _field(value: Any, name: str) -> Any:
    """What a dotted name leads to in a variable that is a struct; None where it leads nowhere."""
    for part in name.split(".")[1:]:
        fields = value.dtype.names if isinstance(value, np.ndarray) and value.size == 1 else None
        value = value.ravel()[0][part] if fields and part in fields else None
    return value


def _plain(path: Path, name: str, value: np.ndarray) -> Any:
    if value.dtype == object:
        return [_text(path, name, item) for item in value.ravel(order="F")]
    if value.dtype.kind in "US":
        return [str(item).strip() for item in value.ravel(order="F")]
    if value.dtype.kind not in "biuf":
        raise DatasetError(f"{path}: {name} holds {value.dtype}; expected numbers or text")
    return value.astype(np.float64)


def _text(path: Path, name: str, item: Any) -> str:
    while isinstance(item, np.ndarray) and item.size == 1:
        item = item.ravel()[0]
    if not isinstance(item, str):
        raise DatasetError(f"{path}: {name} holds {type(item).__name__}; expected text in every cell")
    return item.strip()


def _read_hdf5(path: Path, variables: Sequence[str], all_of_them: bool) -> dict[str, Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            known = [name for name in file if not name.startswith("#")]
            if all_of_them:
                _check_variables(path, variables, known)
            return {name: _from_hdf5(path, file, _dataset(path, file, name)) for name in variables if name in known}
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
    if dataset.size is None or dataset.size * dataset.dtype.itemsize > LARGEST_TABLE_BYTES:
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
