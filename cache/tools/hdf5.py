"""A store as one HDF5 file, and back, with nothing lost: values, keys, failures, columns, losses and fingerprints.

Every Zarr array becomes a data set of the same name, type and shape, text included, with its dimensions labelled; the
store's root document is the data set ``zarr.json``. A failed video's rows are not allocated. Only what this module
writes is read: hard links to plain data sets, without compression, external files or virtual sources.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cache.build.assemble import Assembly, Plan, check_replaceable
from cache.build.pool import Entry, Pool, row_digests
from cache.store.chunks import disk_errors
from cache.store.content import content_digest
from cache.store.errors import ExchangeError, SpecError, StoreError
from cache.store.files import Folder
from cache.store.layout import LARGEST_ROOT_BYTES, ROOT, TEXT, Root, Stored, parse_root, root_text
from cache.store.precision import Stored as StoredRows
from cache.store.replacing import publish, replacing, workplace
from cache.store.specs import FAILED, OK, Unit
from cache.store.store import Store

Array = np.ndarray[Any, Any]
SPARE_BYTES = 1 << 20


def export_hdf5(store: Store, path: str | os.PathLike[str]) -> None:
    """Write a store to one HDF5 file, replacing the file in one step.

    Args:
        store: the store.
        path: the file.

    Raises:
        StoreError: the store is damaged.
        DiskError: the disk refuses.
    """
    target = Path(path)
    if not store.intact:
        raise StoreError(f"{store.files.name}: its zarr.json was changed after writing; do: build it again first")
    with (
        disk_errors(f"write {target}"),
        replacing(target, durable=True) as fresh,
        h5py.File(fresh, "w", libver="v110") as file,
    ):
        _write(store, file)


def _write(store: Store, file: Any) -> None:
    document = root_text(store.root.description()).encode()
    file.create_dataset(ROOT, data=np.frombuffer(document, np.uint8), fletcher32=True)
    for name, stored in store.root.layout.arrays().items():
        shape = (stored.num_rows, *stored.shape)
        if stored.dtype == TEXT:
            texts = np.array(store.texts(name), dtype=object)
            data = file.create_dataset(name, shape, h5py.string_dtype(), data=texts)
        else:
            data = file.create_dataset(
                name, shape, stored.numpy_dtype, chunks=(stored.chunk_rows, *stored.shape), fletcher32=True
            )
            for chunk, sha256 in enumerate(store.root.chunks[name]):
                rows = stored.rows_of(chunk)
                if sha256 is not None:
                    data[rows.start : rows.stop] = store.chunk(name, chunk)
        for axis, dim in enumerate(("row", *stored.dims)):
            data.dims[axis].label = dim


def import_hdf5(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Make a store from an exported HDF5 file; on the same version of zarr its bytes are those of the original.

    Args:
        source: the HDF5 file.
        path: where the store goes.

    Raises:
        ExchangeError: the file is not an export, or was damaged or edited.
        DiskError: the disk refuses.
        StoreError: something that is not a store is at ``path``.
    """
    place = Path(path)
    check_replaceable(place)
    with disk_errors(f"write {place}"), workplace(place) as folder:
        with _opened(Path(source)) as file:
            _Import(file, Path(source), folder).assemble()
        publish(folder / "store", place, durable=True)


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    if not source.is_file():
        raise ExchangeError(f"got {source}; expected an HDF5 file; do: teachonce cache export STORE {source.name}")
    try:
        with h5py.File(source, "r") as file:
            yield file
    except (StoreError, SpecError, ExchangeError) as error:
        raise ExchangeError(f"{source} is not an intact export: {error}") from error
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ExchangeError(f"{source} cannot be read as an export: {error}") from error


class _Import:
    """One HDF5 file being turned into a store.

    Args:
        file: the open file.
        source: its path.
        folder: an empty workplace.
    """

    def __init__(self, file: Any, source: Path, folder: Path) -> None:
        self.file, self.folder = file, folder
        self.file_bytes = source.stat().st_size
        self.root = self._root()
        self.layout = self.root.layout
        for name, stored in self.layout.arrays().items():
            self._check(name, stored)
        table = self.layout.table()
        self.texts = {name: self._text(name) for name, stored in table.items() if stored.dtype == TEXT}
        self.tables = {
            name: np.asarray(file[name][:], stored.numpy_dtype)
            for name, stored in table.items()
            if stored.dtype != TEXT
        }

    def _dataset(self, name: str) -> Any:
        if not isinstance(self.file.get(name, getlink=True), h5py.HardLink):
            raise ExchangeError(f"{name} is absent, or a link to elsewhere; expected a data set of this file")
        data = self.file[name]
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual or data.compression:
            raise ExchangeError(f"{name} is not a plain data set of this file")
        return data

    def _root(self) -> Root:
        data = self._dataset(ROOT)
        if data.dtype != np.uint8 or data.ndim != 1 or not 0 < data.size <= min(LARGEST_ROOT_BYTES, self.file_bytes):
            raise ExchangeError(f"{ROOT} is not the text of a root document")
        root, intact = parse_root(data[:].tobytes(), "its zarr.json")
        if not intact:
            raise ExchangeError("its zarr.json was changed after the export")
        return root

    def _check(self, name: str, stored: Stored) -> None:
        data = self._dataset(name)
        if data.shape != (stored.num_rows, *stored.shape):
            raise ExchangeError(f"{name}: got shape {data.shape}; expected {(stored.num_rows, *stored.shape)}")
        if stored.dtype == TEXT:
            text = h5py.check_string_dtype(data.dtype)
            if text is None or text.encoding != "utf-8" or text.length is not None:
                raise ExchangeError(f"{name}: got {data.dtype}; expected text of variable length in UTF-8")
            needed = 8 * stored.num_rows
        else:
            if data.dtype != stored.numpy_dtype:
                raise ExchangeError(f"{name}: got {data.dtype}; expected {stored.numpy_dtype}")
            listed = sum(sha256 is not None for sha256 in self.root.chunks[name])
            needed = listed * stored.chunk_rows * stored.row_bytes
        # Before memory is taken: a shape alone proves nothing, bytes in the file do.
        if data.id.get_storage_size() < needed or needed > self.file_bytes + SPARE_BYTES:
            raise ExchangeError(f"{name}: claims {needed} bytes; the file holds {data.id.get_storage_size()}")

    def _text(self, name: str) -> list[str]:
        return [bytes(text).decode() for text in self.file[name][:]]

    def assemble(self) -> None:
        """Check every row, and write the store.

        Raises:
            ExchangeError: what the file says of itself does not match.
        """
        hashed = {name: values for name, values in self.tables.items() if not name.endswith("_loss")}
        if content_digest(self.root.kind, self.layout, self.texts, hashed) != self.root.content_digest:
            raise ExchangeError("its tables do not have the content digest of its zarr.json")
        units = self._units()
        plan = Plan(self.root.kind, self.layout.specs, units, self.layout.columns, self.root.metadata)
        status = self.tables["status"][:: self.layout.views_per_video]
        if not np.isin(status, (OK, FAILED)).all():
            raise ExchangeError("its status has values other than 1 and 2")
        reasons = self.texts["reason"][:: self.layout.views_per_video]
        failures = {u.key: reason for u, s, reason in zip(units, status, reasons, strict=True) if s == FAILED}
        with Pool(self.folder / "pool", durable=False).locked(plan.specs):
            entries = self._entries(plan, failures)
            Assembly(plan, entries, failures, self.folder / "store").write()
        if Store(Folder(self.folder / "store")).digest() != self.root.content_digest:
            raise ExchangeError("the imported store does not have the content digest of the export")

    def _units(self) -> tuple[Unit, ...]:
        step = self.layout.views_per_video
        ids, videos, sources = (self.texts[name][::step] for name in ("video_id", "video_digest", "source_digest"))
        units = tuple(Unit(*keys, num_rows=step) for keys in zip(ids, videos, sources, strict=True))
        if ids != sorted(set(ids)):
            raise ExchangeError("its videos are not in order, or not different")
        return units

    def _entries(self, plan: Plan, failures: dict[str, str]) -> dict[tuple[str, str], Entry]:
        pool = Pool(self.folder / "pool", durable=False)
        entries: dict[tuple[str, str], Entry] = {}
        step = self.layout.views_per_video
        for spec in plan.specs:
            losses = self.tables.get(f"{spec.name}_loss")
            for index, unit in enumerate(plan.units):
                if unit.key in failures or (spec.recipe, unit.key) in entries:
                    continue
                rows = slice(index * step, (index + 1) * step)
                values = np.ascontiguousarray(self.file[spec.name][rows], spec.stored_dtype)
                listed = [digest.tobytes().hex() for digest in self.tables[f"{spec.name}_sha256"][rows]]
                if row_digests(values) != listed:
                    raise ExchangeError(f"{spec.name}: the values of {unit.video_id} do not have the digests listed")
                loss = None if losses is None else [(float(cosine), float(error)) for cosine, error in losses[rows]]
                columns = {name: self.texts[name][rows] for name in plan.owned(spec)}
                entries[spec.recipe, unit.key] = pool.put(spec, unit, StoredRows(values, loss), columns, adopted=True)
        return entries
