"""How a stage leaves its files, and what is for people and for git: ``results/<stage>/metrics.json``, ``timing.json``.

DVC may keep an output and its cache as one file, by hard link. Whoever writes into such a file changes what the cache
holds under the old digest, so no stage writes into a file that is there: `replacing` and `replacing_folder` lend a
place beside it.

Metrics are scalars only and, but for rates, the same whenever the stage is run again; the time that a stage took is
kept apart from them, so that equal runs leave equal metrics.
"""

import csv
import errno
import fcntl
import glob
import hashlib
import itertools
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Puts a new file in the place of one that may be there, without writing into that one.

    Args:
        path: of the file; its folder is there.

    Yields:
        An empty file to write to, beside it and this run's alone. On success it takes the place in one step; else it
        is removed, and so is, the next time, what a killed run left.
    """
    with _beside(path, "partial", lambda name: os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)) as partial:
        yield partial
        partial.replace(path)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Puts a new folder in the place of one that may be there, without writing into that one's files.

    Args:
        folder: the folder; those above it are made when missing.

    Yields:
        An empty folder to write to, this run's alone. On success it takes the place, and the old one goes; else it is
        removed. A kill between the two leaves the old one in a hidden folder beside its place, which the next call
        removes. Its files are as readable as the folder; safetensors writes them for their owner alone.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _beside(folder, "building", _open_folder) as place:
        fresh = place / "new"
        fresh.mkdir()
        with refusals_unwrapped():
            yield fresh
        for path in fresh.iterdir():
            if path.is_file():
                path.chmod(fresh.stat().st_mode & 0o666)
        for attempt in itertools.count():
            with suppress(FileNotFoundError):
                folder.rename(place / f"old{attempt}")
            try:
                fresh.rename(folder)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                # Another run put its own there between the two.


def _open_folder(name: Path) -> int:
    while True:
        name.mkdir()
        with suppress(FileNotFoundError):  # another run removed it, unlocked as it was, as a dead one's
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY)


@contextmanager
def _beside(path: Path, kind: str, make: Callable[[Path], int]) -> Iterator[Path]:
    """Lends a hidden name beside a path, locked so that other runs can tell it from what a killed one left.

    Args:
        path: what is going to be replaced.
        kind: what the name says of it.
        make: makes what has the name, and opens it.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.{kind}-*"):
        with suppress(FileNotFoundError, NotADirectoryError), _opened(os.open(left, os.O_RDONLY)) as descriptor:
            if _lock(descriptor):
                _remove(left)
    while True:
        name = path.with_name(f".{path.name}.{kind}-{secrets.token_hex(4)}")
        with _opened(make(name)) as descriptor:
            # Between the two another run may have taken it for a dead one's.
            if not _lock(descriptor) or not name.exists():
                continue
            try:
                yield name
            finally:
                _remove(name)
            return


@contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Locks what is open until it is closed, or its process dies; whether nobody else has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def refusals_unwrapped() -> Iterator[None]:
    """Raises a disk's refusal as the ``OSError`` that it is, where torch or safetensors tell of it in their own words.

    Raises:
        OSError: the disk refused what the block wrote.
    """
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        told = re.search(r"\(os error (\d+)\)", str(error))
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        if told is not None:
            number = int(told[1])
            raise OSError(number, os.strerror(number)) from None
        raise


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes metrics as JSON, keys in the order given.

    A number that is not finite has no place in JSON, so it is written as null.
    """
    with replacing(path) as partial:
        partial.write_text(json.dumps(_finite(values), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


_READ_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, read in bounded memory, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


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
