"""An index of files that were hashed and checked, so that unchanged ones are not read again."""

import hashlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

_MOST_STALE, _FEW = 4, 1000


_SETTLED_SECONDS = 2.0


"""A file changed more recently than this may change again without its time telling."""


def file_key(path: Path, options: str) -> str | None:
    """What changes when a file does: its path, size, time and inode; None while it is too fresh to be sure.

    Args:
        path: of the file.
        options: what else its check depends on.
    """
    status = path.stat()
    if time.time() - status.st_mtime < _SETTLED_SECONDS:
        return None
    facts = [os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ino, options]
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
