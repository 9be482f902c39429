"""Statistics of a stored array, chunk by chunk through dask, in bounded memory.

Sums run in float64 whatever the stored dtype: float16 overflows within a few rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.store.errors import RowError
from cache.store.layout import OWN_FILE_ROW_BYTES
from cache.store.precision import from_bfloat16
from cache.store.reading import Reader
from cache.store.specs import OK
from cache.store.store import Store

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Statistics:
    """Statistics over the ok rows of an array, per value of a row; float64.

    For rows of 64 KiB and more (clips, dense tokens) they are per last dimension, over all others.

    Attributes:
        rows: rows looked at.
        mean: mean.
        std: standard deviation, of the rows themselves (not an estimate for others).
        smallest: least value.
        largest: greatest value.
        zeros: fraction of values that are exactly zero.
    """

    rows: int
    mean: Array
    std: Array
    smallest: Array
    largest: Array
    zeros: Array

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON."""
        names = ("mean", "std", "smallest", "largest", "zeros")
        return {"rows": self.rows} | {name: getattr(self, name).tolist() for name in names}


def statistics(store: Store, name: str, *, scheduler: str = "synchronous") -> Statistics:
    """Measure an array.

    Args:
        store: the store.
        name: the array.
        scheduler: dask's: ``synchronous`` (one thread) or ``threads``.

    Raises:
        RowError: there is no such array, or none of its rows is ok.
        StoreError: a chunk is damaged.
    """
    import dask.array as da
    from dask import config, delayed

    if name not in store.arrays:
        raise RowError(f"got array {name!r}; the store has {', '.join(store.arrays)}")
    spec = store.arrays[name]
    stored = store.root.layout.target(spec)
    ok = store.status == OK
    if not ok.any():
        raise RowError(f"{name}: no row is ok, so there is nothing to measure")
    per_channel = spec.row_bytes >= OWN_FILE_ROW_BYTES
    width = spec.shape[-1] if spec.shape else 1
    shape = (width,) if per_channel else (int(np.prod(spec.shape, dtype=np.int64)),)

    def load(chunk: int) -> Array:
        rows = stored.rows_of(chunk)
        # A reader of its own, so that a checked chunk is not held after it was measured.
        values = Reader(store.files, 0).chunk(stored, chunk)[ok[rows.start : rows.stop]]
        values = from_bfloat16(values) if spec.dtype == "bfloat16" else values
        return values.reshape(-1, *shape)

    dtype = np.dtype("f4") if spec.dtype == "bfloat16" else spec.stored_dtype
    blocks = []
    per_row = int(np.prod(spec.shape, dtype=np.int64)) // shape[0]
    for chunk in range(stored.num_chunks):
        rows = stored.rows_of(chunk)
        count = int(ok[rows.start : rows.stop].sum()) * per_row
        if count:
            blocks.append(da.from_delayed(delayed(load)(chunk), (count, *shape), dtype, meta=np.empty((0, 0), dtype)))
    with config.set(scheduler=scheduler):
        return _measure(da.concatenate(blocks), int(ok.sum()), spec.shape[-1:] if per_channel else spec.shape)


def _measure(values: Any, rows: int, shape: tuple[int, ...]) -> Statistics:
    import dask

    wide = values.astype("f8")
    measures: dict[str, Callable[..., Any]] = {
        "mean": wide.mean,
        "std": wide.std,
        "smallest": wide.min,
        "largest": wide.max,
        "zeros": (wide == 0).mean,
    }
    done = dask.compute(*(measure(axis=0) for measure in measures.values()))
    return Statistics(rows, *(np.asarray(result).reshape(shape) for result in done))
