"""What is stored between runs, outside DVC: ``.teachonce`` of the project, git-ignored, safe to delete at any time.

Two things of ``prepare`` are here: an index of files that were checked and have not changed since, and finished videos
named by how they were made, so that a setting that touches a few videos makes a few. The pool of finished rows, beside
them, is the cache's (``cache/build/pool.py``).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.files import file_digest, replacing


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
        told = {"sha256": hashlib.sha256(data).hexdigest(), "facts": dict(facts)}
        with replacing(path) as fresh:
            fresh.write_bytes(data)
        with replacing(path.with_suffix(".json")) as fresh:
            fresh.write_text(json.dumps(told), encoding="utf-8")

    def place(self, key: str, target: Path) -> None:
        """Gives a finished file its place among the videos: a second name where the disk allows it, else a copy."""
        with replacing(target) as fresh:
            try:
                os.link(self._path(key), fresh)
            except OSError:
                shutil.copyfile(self._path(key), fresh)

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / key


def key_of(facts: Mapping[str, Any]) -> str:
    """A key from everything that shapes a file's bytes, as plain JSON values."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def code_digest(*files: Path) -> str:
    """Digest of source files, whatever order they come in: what they make is remade once they change."""
    found = sorted((path.name, file_digest(path)) for path in files)
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()
