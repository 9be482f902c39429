"""A toy world for the cache's tests: videos whose rows follow from their source, and a program that builds them.

``python -m tests.cache.toy STORE POOL NUM_VIDEOS PAUSE_SECONDS LOG`` builds a store; it appends the source of every
video that it computes to LOG.
"""

import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cache.build import Pool, build_store
from cache.store import ArraySpec, BuildReport, Failed, Job, Rows, Unit

VIEWS = 2
EMBEDDING = ArraySpec("embedding", "float16", (24,), ("channel",), {"kind": "embedding", "weights": "abc", "size": 112})
LOGITS = ArraySpec("logits", "float32", (5,), ("class",), {"kind": "logits", "weights": "abc", "size": 112})
CLIP = ArraySpec("clip", "uint8", (4, 96, 64, 3), ("t", "h", "w", "c"), {"policy": "resize", "version": 1})
SPECS = (EMBEDDING, CLIP)
COLUMNS = ("decoder", "clip_view")


def unit(number: int, source: str | None = None, views: int = VIEWS) -> Unit:
    """Make video ``number``, whose rows follow from ``source``."""
    source = source or f"source{number:04d}"
    return Unit(f"video{number:04d}", hashlib.sha256(source.encode()).hexdigest(), source, views)


def units(count: int) -> list[Unit]:
    """Make the first ``count`` videos."""
    return [unit(number) for number in range(count)]


def values(spec: ArraySpec, of: Unit) -> np.ndarray[Any, Any]:
    """Return what computing an array of a unit gives."""
    shape = (of.num_rows, *spec.shape)
    wide = 1 if spec.dtype == "uint8" else 4
    # Not numpy's generators, whose streams may change: a store of the first release must stay what it is.
    noise = hashlib.shake_128(f"{spec.recipe}{of.source}".encode()).digest(wide * math.prod(shape))
    if spec.dtype == "uint8":
        return np.frombuffer(noise, np.uint8).reshape(shape)
    return (np.frombuffer(noise, "<u4").reshape(shape) / 2.0**30 - 2).astype(np.float32)


class Teacher:
    """Computes rows, and remembers what it was asked for.

    Args:
        specs: the arrays it knows.
        broken: reason per source that fails.
        change: applied to what it computed, by array and unit.
    """

    def __init__(
        self,
        specs: Sequence[ArraySpec] = SPECS,
        broken: dict[str, str] | None = None,
        change: Callable[[str, Unit, np.ndarray[Any, Any]], np.ndarray[Any, Any]] | None = None,
    ) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self.broken = broken or {}
        self.change = change or (lambda name, of, rows: rows)
        self.asked: list[Job] = []

    def __call__(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
        for job in jobs:
            self.asked.append(job)
            if job.unit.source in self.broken:
                yield job, Failed(self.broken[job.unit.source])
                continue
            arrays = {name: self.change(name, job.unit, values(self.specs[name], job.unit)) for name in job.arrays}
            rows = range(job.unit.num_rows)
            columns = {"decoder": ["toy 1.0" for _ in rows], "clip_view": [f'{{"view": {row}}}' for row in rows]}
            yield job, Rows(arrays, columns)

    @property
    def videos(self) -> list[str]:
        """Names of the videos it was asked for, sorted."""
        return sorted(job.unit.video_id for job in self.asked)


def build(
    path: Path,
    of: Sequence[Unit],
    *,
    specs: Sequence[ArraySpec] = SPECS,
    teacher: Teacher | None = None,
    pool: Pool | None = None,
    **more: Any,
) -> BuildReport:
    """Build a toy store."""
    teacher = teacher or Teacher(specs)
    columns = more.pop("columns", COLUMNS if CLIP.name in {spec.name for spec in specs} else COLUMNS[:1])
    if "clip_view" not in columns:
        computed = teacher

        def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows | Failed]]:
            for job, result in computed(jobs):
                if isinstance(result, Rows):
                    result = replace(result, columns={name: result.columns[name] for name in columns})
                yield job, result
    else:
        compute = teacher
    return build_store(path, kind="toy", specs=specs, units=of, columns=columns, compute=compute, pool=pool, **more)


def tree(path: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under a folder."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def damage(path: Path, how: str, bit: int = 100) -> None:
    """Change a file on the disk, but no other name of it.

    Args:
        path: of the file.
        how: ``flip``, ``missing``, ``empty``, ``truncate``, ``halve``, ``longer``, ``rubbish``, ``directory``
            or ``pipe``.
        bit: which one ``flip`` flips.
    """
    content = path.read_bytes()
    path.unlink()
    if how == "flip":
        path.write_bytes(content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :])
    elif how == "directory":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how != "missing":
        whole = {"empty": b"", "truncate": content[:-1], "halve": content[: len(content) // 2]}
        path.write_bytes((whole | {"longer": content + b"\0", "rubbish": b"[" * 9999})[how])


def main() -> None:
    """Build a store slowly enough to be killed."""
    store, pool, count, pause, log = sys.argv[1:6]

    def slow(name: str, of: Unit, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if name == EMBEDDING.name:
            time.sleep(float(pause))
            with Path(log).open("a") as file:
                file.write(of.source + "\n")
        return rows

    print(build(Path(store), units(int(count)), teacher=Teacher(change=slow), pool=Pool(pool)))


if __name__ == "__main__":
    main()
