"""An open store: what its rows are, what they hold, what the whole is; never read row by row through Zarr."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cache.store.content import content_digest
from cache.store.errors import FingerprintMismatchError, RowError, StoreError
from cache.store.files import Files, Folder
from cache.store.fingerprint import difference
from cache.store.layout import LARGEST_ROOT_BYTES, ROOT, TEXT, Root, parse_root
from cache.store.precision import from_bfloat16
from cache.store.reading import Reader
from cache.store.specs import OK, ArraySpec, Unit
from cache.store.verify import Problem, verify

logger = logging.getLogger(__name__)
RAM_BYTES = 1 << 30
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class StoredSpec(ArraySpec):
    """An array of an open store: its spec, and how many rows there are.

    Attributes:
        rows: rows of the array, failed ones included.
    """

    rows: int = 0


class Store:
    """An open store; use ``open_store``.

    Attributes:
        files: where its files are.
        root: its root document.
        intact: whether the root document is as it was written.
        arrays: spec per array.
        fingerprint: fingerprint per array.
        kind: what its rows are.
        metadata: what its writer added.
    """

    def __init__(self, files: Files, *, ram_bytes: int = RAM_BYTES) -> None:
        self.files = files
        self.ram_bytes = ram_bytes
        self.root, self.intact = self._read_root(files)
        layout = self.root.layout
        self.arrays = {
            spec.name: StoredSpec(spec.name, spec.dtype, spec.shape, spec.dims, spec.fingerprint, layout.num_rows)
            for spec in layout.specs
        }
        self.fingerprint = {name: spec.fingerprint for name, spec in self.arrays.items()}
        self.kind = self.root.kind
        self.metadata = self.root.metadata
        self.views_per_video = layout.views_per_video
        self._stored = layout.arrays()
        self._reader = Reader(files, ram_bytes, self.root.checksums)
        if not self.intact:
            logger.warning("%s: its zarr.json was changed after writing; verify names what else was", files.name)

    @staticmethod
    def _read_root(files: Files) -> tuple[Root, bool]:
        path = files.path(ROOT)
        try:
            if path.exists() and not path.is_file():
                raise StoreError(f"{files.name}: its zarr.json is not a file")
            if path.stat().st_size > LARGEST_ROOT_BYTES:
                raise StoreError(f"{files.name}: its zarr.json has more than {LARGEST_ROOT_BYTES} bytes")
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot open the store {files.name}: {error}; do: build it, or dvc pull it") from error
        return parse_root(content, files.name)

    def __len__(self) -> int:
        return self.root.layout.num_rows

    def __repr__(self) -> str:
        return f"Store({self.files.name!r}, kind={self.kind!r}, rows={len(self)}, arrays={list(self.arrays)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.files, self.ram_bytes)

    # What the rows are.

    @cached_property
    def status(self) -> Array:
        """Per row 1 (ok) or 2 (failed), uint8."""
        return self._table("status")

    @cached_property
    def views(self) -> list[int]:
        """Per row the number of its view."""
        return [int(view) for view in self._table("view")]

    @cached_property
    def video_ids(self) -> list[str]:
        """Per row the name of its video."""
        return self._texts("video_id")

    @cached_property
    def video_digests(self) -> list[str]:
        """Per row the digest of its video file."""
        return self._texts("video_digest")

    @cached_property
    def sources(self) -> list[str]:
        """Per row the digest of what it was computed from."""
        return self._texts("source_digest")

    @cached_property
    def reasons(self) -> list[str]:
        """Per row why it failed; empty where it did not."""
        return self._texts("reason")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the text columns."""
        return self.root.layout.columns

    def column(self, name: str) -> list[str]:
        """Return a text column, one entry per row.

        Raises:
            RowError: there is no such column.
        """
        if name not in self.columns:
            raise RowError(f"{self.files.name}: got column {name!r}; it has {', '.join(self.columns) or 'none'}")
        return self._texts(name)

    @cached_property
    def _first_rows(self) -> dict[str, int]:
        step = self.views_per_video
        return {video_id: step * index for index, video_id in enumerate(self.video_ids[::step])}

    def rows_of(self, video_id: str) -> Array:
        """Return the rows of a video, int64, by view.

        Raises:
            RowError: the store has no such video.
        """
        if video_id not in self._first_rows:
            raise RowError(f"{self.files.name}: got video {video_id!r}; it is not in this store")
        first = self._first_rows[video_id]
        return np.arange(first, first + self.views_per_video)

    def units(self) -> list[Unit]:
        """Return the videos as units, in the store's order."""
        step = self.views_per_video
        columns = zip(self.video_ids[::step], self.video_digests[::step], self.sources[::step], strict=True)
        return [Unit(video_id, video_digest, source, step) for video_id, video_digest, source in columns]

    def row_digests(self, name: str) -> list[str]:
        """Return per row the SHA-256 (hex) of its stored bytes; empty where the row failed.

        Raises:
            RowError: there is no such array.
        """
        self._spec(name)
        digests = self._table(f"{name}_sha256")
        return [row.tobytes().hex() if ok else "" for row, ok in zip(digests, self.status == OK, strict=True)]

    def losses(self, name: str) -> Array | None:
        """Return per row (cosine, largest absolute error) of storing, float64; None where nothing is rounded."""
        return self._table(f"{name}_loss") if self._spec(name).lossy else None

    # What the rows hold.

    def read(self, name: str, rows: ArrayLike | Sequence[int]) -> Array:
        """Read rows of an array, in the order asked for.

        Args:
            name: the array.
            rows: whole numbers from 0, in any order, repeats allowed.

        Returns:
            ``(len(rows), *shape)`` in the array's dtype; float32 for a bfloat16 array, which numpy lacks.

        Raises:
            RowError: no such array or row, or a row that failed.
            StoreError: a chunk is missing or damaged.
        """
        index = self._check_rows(self._spec(name), rows)
        values = self._reader.rows(self._stored[name], index)
        return from_bfloat16(values) if self.arrays[name].dtype == "bfloat16" else values

    def read_stored(self, name: str, rows: ArrayLike | Sequence[int]) -> Array:
        """Read rows as they are on disk: as ``read``, but bfloat16 stays a uint16 bit pattern."""
        return self._reader.rows(self._stored[name], self._check_rows(self._spec(name), rows))

    def _spec(self, name: str) -> ArraySpec:
        if name not in self.arrays:
            raise RowError(f"{self.files.name}: got array {name!r}; it has {', '.join(self.arrays)}")
        return self.arrays[name]

    def _check_rows(self, spec: ArraySpec, rows: ArrayLike | Sequence[int]) -> Array:
        index = np.asarray(rows)
        if index.size == 0:
            return np.empty(0, np.int64)
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise RowError(
                f"{spec.name}: got rows of {index.dtype} {index.shape}; expected one list of whole numbers; "
                "do: np.flatnonzero(mask) turns a mask into rows"
            )
        if index.min() < 0 or index.max() >= len(self):
            raise RowError(f"{spec.name}: got rows {index.min()} to {index.max()}; expected 0 to {len(self) - 1}")
        failed = index[self.status[index] != OK]
        if failed.size:
            row = int(failed[0])
            raise RowError(
                f"{spec.name}: row {row} (video {self.video_ids[row]!r}, view {self.views[row]}) has no values: "
                f"{self.reasons[row] or 'never written'}; do: read only rows where store.status == 1"
            )
        return index.astype(np.int64, copy=False)

    def _table(self, name: str) -> Array:
        return self._reader.whole(self._stored[name])

    def _texts(self, name: str) -> list[str]:
        return self._reader.texts(self._stored[name])

    def texts(self, name: str) -> list[str]:
        """Return any text table of the store, columns and keys alike, one entry per row."""
        return self._texts(name)

    def chunk(self, name: str, chunk: int) -> Array:
        """Read one chunk of any array that is not text, as it is on disk and without its padding."""
        return self._reader.chunk(self._stored[name], chunk)

    # What the whole is.

    def digest(self) -> str:
        """Return one digest (64 hex digits) of the content: keys, values, failures, columns and fingerprints."""
        texts = {name: self._texts(name) for name, stored in self._stored.items() if stored.dtype == TEXT}
        tables = {
            name: self._table(name)
            for name, stored in self.root.layout.table().items()
            if stored.dtype != TEXT and not name.endswith("_loss")
        }
        return content_digest(self.kind, self.root.layout, texts, tables)

    def verify(self, *, deep: bool = False) -> list[Problem]:
        """Read everything and return what is wrong with it; empty when nothing is.

        Args:
            deep: compare every SHA-256 too, of files and of rows.
        """
        return verify(self.files, deep=deep)


def _reopen(files: Files, ram_bytes: int) -> Store:
    return Store(files, ram_bytes=ram_bytes)


def open_store(
    path: str | os.PathLike[str],
    expect: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    ram_bytes: int = RAM_BYTES,
) -> Store:
    """Open a store.

    Args:
        path: its folder.
        expect: per array the fingerprint it must have; other arrays may have any.
        ram_bytes: the largest array that is held whole in memory; larger ones are memory-mapped.

    Raises:
        FingerprintMismatchError: an array is missing or was made differently; the text says in which fields.
        FormatVersionError: a newer writer made the store.
        StoreError: there is no store, or what its metadata claims is impossible; with ``expect`` also when its
            metadata was changed after writing.
    """
    store = Store(Folder(path), ram_bytes=ram_bytes)
    if expect is None:
        return store
    if not store.intact:
        raise StoreError(f"{path}: its zarr.json was changed after writing; do: teachonce cache verify {path}")
    lines = []
    for name, asked in expect.items():
        if name not in store.arrays:
            lines.append(f"  {name}: not in the store, which has {', '.join(store.arrays)}")
        else:
            lines += [f"  {name}.{line}" for line in difference(store.fingerprint[name], asked)]
    if lines:
        raise FingerprintMismatchError(
            "\n".join([f"{path} was made differently from what is asked:", *lines, "do: run the stage that makes it"])
        )
    return store
