"""How a stage leaves its files, and what is for people and for git: ``results/<stage>/metrics.json``, ``timing.json``.

No stage writes into a file that is there (``cache/store/replacing.py`` says why): `replacing` and `replacing_folder`
lend a place beside it.

Metrics are scalars only and, but for rates, the same whenever the stage is run again; the time that a stage took is
apart from them, so that equal runs leave equal metrics.
"""

import csv
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from cache.store import replacing as whole
from cache.store.files import file_digest
from cache.store.replacing import replacing

__all__ = ["file_digest", "refusals_unwrapped", "replacing", "replacing_folder", "write_json", "write_rows"]


@contextmanager
def replacing_folder(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Replaces the folder of a model, as the cache does a store's, and makes its files as readable as the folder is.

    safetensors writes them for their owner alone.

    Raises:
        OSError: the disk refuses.
    """
    with whole.replacing_folder(path, durable=durable) as fresh:
        with refusals_unwrapped():
            yield fresh
        for file in fresh.iterdir():
            file.chmod(fresh.stat().st_mode & 0o666)


@contextmanager
def refusals_unwrapped() -> Iterator[None]:
    """Raises a disk's refusal as the ``OSError`` that it is, where torch or safetensors have their own words for it.

    Raises:
        OSError: the disk refused what the block wrote.
    """
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        quoted = re.search(r"\(os error (\d+)\)", str(error))
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        if quoted is not None:
            number = int(quoted[1])
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


def write_rows(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str] = ()) -> None:
    """Writes rows that have the same columns.

    Args:
        path: the file; replaced in one step.
        rows: column → value.
        columns: in the header's order; the first row's when not given, and without rows the file is empty.
    """
    names = columns or (list(rows[0]) if rows else [])
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        if names:
            writer.writeheader()
        writer.writerows(rows)
