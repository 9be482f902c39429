"""Rows that a study has finished, kept so that one that is stopped goes on where it was.

They hold as long as settings, data and code are the same, and the first weights where a study adapts a teacher. Where
something differs the study begins anew: standard error names it, and the older rows stay beside the new ones. A study's
tables are written from them, and are not read back.
"""

import csv
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from cache import open_store
from pipeline.aligned import DataPaths
from pipeline.digests import file_digest
from pipeline.params import Params
from pipeline.records import replacing

Row = dict[str, Any]
_ROOT = Path(__file__).parents[1]
_SECTIONS = ("prepare", "render", "adapt", "extract", "distill", "evaluate")
_ABSENT = object()


class Ledger:
    """The finished rows of one study.

    Args:
        path: JSON file of the rows, made when missing; one of another context is renamed, ``finished.json`` to
            ``finished-older.json``.
        context: what they depend on, as plain JSON.
    """

    def __init__(self, path: Path, context: Mapping[str, Any]) -> None:
        self._path, self._context = path, json.loads(json.dumps(dict(context)))
        self.rows: list[Row] = []
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["context"] == self._context:
                self.rows = kept["rows"]
            else:
                self._move_aside(kept)

    def has(self, **key: Any) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(name) == value for name, value in key.items()) for row in self.rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Keeps rows that belong together: a kill leaves all of them or none."""
        self.rows = [*self.rows, *(dict(row) for row in rows)]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as partial:
            partial.write_text(json.dumps({"context": self._context, "rows": self.rows}, indent=1), encoding="utf-8")

    def _move_aside(self, kept: dict[str, Any]) -> None:
        ends = chain([""], (f"-{number}" for number in count(2)))
        names = (self._path.with_stem(f"{self._path.stem}-older{end}") for end in ends)
        older = next(name for name in names if not name.exists())
        self._path.rename(older)
        changed = ", ".join(_differences(kept["context"], self._context))
        print(
            f"{self._path}: its {len(kept['rows'])} rows were finished with other values of {changed}; they are kept "
            f"in {older.name}, and the study begins anew",
            file=sys.stderr,
        )


def _differences(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """The dotted names of the parts that differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from _differences(one.get(key, _ABSENT), other.get(key, _ABSENT), f"{name}.{key}" if name else key)
    elif one != other:
        yield name


def context_of(params: Params, paths: DataPaths) -> dict[str, Any]:
    """What the rows of a study on one data set depend on: settings, tables, stores that are there, and all code."""
    stores = {path.name: open_store(path).digest() for path in (paths.clips, paths.targets) if path.exists()}
    tables = {path.name: file_digest(path) for path in (paths.videos, paths.labels, paths.scales)}
    return {"stores": stores, "tables": tables} | context_without_data(params)


def context_without_data(params: Params) -> dict[str, Any]:
    """What the rows of a study depend on that makes its data itself: settings, and all code."""
    settings = {name: getattr(params, name).model_dump(mode="json") for name in _SECTIONS}
    return {"settings": settings, "code": code_digest()}


def digests_of(weights: Path) -> dict[str, str]:
    """SHA-256 of a file, or of each file below a folder but its cards, by name; empty where there is neither."""
    files = [weights] if weights.is_file() else sorted(path for path in weights.rglob("*") if path.is_file())
    return {str(path.relative_to(weights.parent)): file_digest(path) for path in files if path.suffix != ".md"}


def code_digest() -> str:
    """SHA-256 over every module of the library and of the benchmarks."""
    digest = hashlib.sha256()
    for path in _modules():
        digest.update(f"{path.relative_to(_ROOT)} {file_digest(path)}\n".encode())
    return digest.hexdigest()


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows as CSV; what a row has beside the columns is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _modules() -> Iterator[Path]:
    for room in ("benchmarks", "cache", "pipeline"):
        yield from sorted((_ROOT / room).rglob("*.py"))
