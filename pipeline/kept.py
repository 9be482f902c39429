"""What is kept between runs, outside DVC: ``.teachonce`` at the project's top, git-ignored, safe to delete at any time.

Two things of ``prepare`` are here: an index of files that were checked and have not changed since, and finished videos
named by how they were made, so that a setting that touches a few videos makes a few. The pool of finished rows, beside
them, is the cache's (``cache/pool.py``).
"""

import hashlib
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.digests import file_digest

_MOST_STALE, _FEW = 4, 1000
_ATTEMPTS = 3
_SETTLED_SECONDS = 2.0
"""A file changed more recently than this may change again without its time telling."""


def kept_folder(start: Path) -> Path:
    """``.teachonce`` under ``$DVC_ROOT``, else under the nearest folder from ``start`` upwards that has ``.dvc``."""
    if os.environ.get("DVC_ROOT"):
        return Path(os.environ["DVC_ROOT"]) / ".teachonce"
    here = start.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here) / ".teachonce"


def file_key(path: Path, told: str) -> str | None:
    """What changes when a file does: its path, size, time and inode; None while it is too fresh to be sure.

    Args:
        path: of the file.
        told: what else its check depends on.
    """
    status = path.stat()
    if time.time() - status.st_mtime < _SETTLED_SECONDS:
        return None
    facts = [os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ino, told]
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()


class FileIndex:
    """Files that were hashed and checked, so that unchanged ones are not read again.

    Args:
        folder: ``.teachonce``.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "files.sqlite"

    def find(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What is known under these keys; an index that cannot be read knows nothing."""
        if not self._path.is_file():
            return {}
        wanted = set(keys)
        try:
            with closing(sqlite3.connect(self._path)) as index:
                rows = index.execute("SELECT key, facts FROM files").fetchall()
            return {key: json.loads(facts) for key, facts in rows if key in wanted}
        except sqlite3.OperationalError:
            return {}  # another run holds it
        except (sqlite3.DatabaseError, ValueError):
            self._path.unlink(missing_ok=True)
            return {}

    def keep(self, found: Mapping[str, Mapping[str, Any]], *, current: Iterable[str]) -> None:
        """Adds what was found; once most of the index is not current, forgets that.

        Another run may hold the index: then nothing is added, and the files are read again next time.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._write(found, set(current))
        except sqlite3.OperationalError as error:
            print(f"prepare: {self._path} was not updated: {error}", file=sys.stderr)

    def _write(self, found: Mapping[str, Mapping[str, Any]], current: set[str]) -> None:
        with closing(sqlite3.connect(self._path)) as index, index:
            index.execute("CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, facts TEXT NOT NULL)")
            known = {row[0] for row in index.execute("SELECT key FROM files")}
            if len(known) > _MOST_STALE * len(current) + _FEW:
                index.executemany("DELETE FROM files WHERE key = ?", [(key,) for key in known - current])
            index.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?)",
                [(key, json.dumps(dict(facts))) for key, facts in found.items()],
            )


class Made:
    """Finished files, each named by a key that says how it was made, with what was measured of it.

    ``made/<kk>/<key>`` is the file and ``<key>.json``, written last, its digest and facts; a file that no longer has
    its digest counts as absent.

    Args:
        folder: ``.teachonce``.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder / "made"

    def find(self, key: str) -> dict[str, Any] | None:
        """The facts of a finished file; None when it is not there, or damaged."""
        path = self._path(key)
        try:
            told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            facts = told["facts"] if told["sha256"] == file_digest(path) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return facts if isinstance(facts, dict) else None

    def keep(self, key: str, data: bytes, facts: Mapping[str, Any]) -> None:
        """Keeps a finished file; whoever comes second with the same key changes nothing."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"sha256": hashlib.sha256(data).hexdigest(), "facts": dict(facts)}
        _replace(path, data)
        _replace(path.with_suffix(".json"), json.dumps(told).encode())

    def place(self, key: str, target: Path) -> None:
        """Gives a finished file its place among the videos: a second name where the disk allows it, else a copy."""
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        for left in reversed(range(_ATTEMPTS)):
            partial.unlink(missing_ok=True)
            try:
                self._copy(key, partial)
                partial.replace(target)
                return
            except FileNotFoundError:
                # Another run that has just finished took it for what a killed one left.
                if not left:
                    raise
            finally:
                # Replacing a name by another name of the same file does nothing, and keeps both.
                partial.unlink(missing_ok=True)

    def _copy(self, key: str, target: Path) -> None:
        try:
            os.link(self._path(key), target)
        except OSError:
            shutil.copyfile(self._path(key), target)

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / key


def key_of(facts: Mapping[str, Any]) -> str:
    """A key from everything that shapes a file's bytes, as plain JSON values."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def code_digest(*files: Path) -> str:
    """Digest of source files, whatever order they come in: what they make is remade once they change."""
    found = sorted((path.name, file_digest(path)) for path in files)
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    partial.replace(path)
