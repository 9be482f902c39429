"""How a stage leaves its files, and what is for people and for git: ``results/<stage>/metrics.json``, ``timing.json``.

DVC may keep an output and its cache as one file, by hard link. Whoever writes into such a file changes what the cache
holds under the old digest, so no stage writes into a file that is there: `replacing` and `replacing_folder` lend a
place beside it.

Metrics are scalars only and, but for rates, the same whenever the stage is run again; the time that a stage took is
kept apart from them, so that equal runs leave equal metrics.
"""

import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

RESULTS = Path("results")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Puts a new file in the place of one that may be there, without writing into that one.

    Args:
        path: of the file; its folder is there.

    Yields:
        Where to write, beside it. On success that file takes the place in one step; else it is removed.
    """
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Puts a new folder in the place of one that may be there, without writing into that one's files.

    Args:
        folder: the folder; those above it are made when missing.

    Yields:
        An empty folder to write to. On success it takes the place, and the old one goes; else it is removed. A kill
        between the two leaves the old one in a hidden folder beside its place, which the next call removes.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.building-"
    for left in folder.parent.iterdir():
        if left.name.startswith(prefix):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as place:
        fresh = Path(place) / "new"
        fresh.mkdir()
        with refusals_unwrapped():
            yield fresh
        if folder.exists():
            folder.rename(Path(place) / "old")
        fresh.rename(folder)


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


@contextmanager
def timed(stage: str) -> Iterator[Path]:
    """Times a stage.

    Args:
        stage: its name.

    Yields:
        ``results/<stage>/``, made when missing; on success ``timing.json`` (``seconds``) is written there.
    """
    folder = RESULTS / stage
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    yield folder
    write_json(folder / "timing.json", {"seconds": round(time.monotonic() - start, 2)})


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
