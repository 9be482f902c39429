"""Writing a store from finished rows, in canonical order: the same rows give the same bytes, whatever their history."""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.build.pool import Entry, place
from cache.store.chunks import trailer
from cache.store.content import content_digest
from cache.store.layout import ROOT, TEXT, Layout, Root, Stored, root_text
from cache.store.specs import FAILED, OK, ArraySpec, Unit

if TYPE_CHECKING:
    import zarr
    from zarr.core.buffer import Buffer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Plan:
    """What a store shall hold.

    Attributes:
        kind: what the rows are.
        specs: the arrays.
        units: the videos, by ``video_id``.
        columns: names of the text columns.
        metadata: what the caller wants to add.
    """

    kind: str
    specs: tuple[ArraySpec, ...]
    units: tuple[Unit, ...]
    columns: tuple[str, ...]
    metadata: Mapping[str, Any]

    @property
    def layout(self) -> Layout:
        """Where everything goes."""
        views = self.units[0].num_rows
        return Layout(self.specs, self.columns, views * len(self.units), views)

    def owned(self, spec: ArraySpec) -> tuple[str, ...]:
        """Columns that come with an array's rows: its own, ``<array>_...``, and those that no array owns."""
        return tuple(column for column in self.columns if self.owner(column) in (spec.name, None))

    def owner(self, column: str) -> str | None:
        """Name of the array a column belongs to; None when it belongs to the row as such."""
        names = [spec.name for spec in self.specs if column.startswith(f"{spec.name}_")]
        return max(names, key=len) if names else None


class Assembly:
    """One store being written into a folder of its own.

    Args:
        plan: what it shall hold.
        entries: finished rows by (recipe, unit key).
        failures: reason by unit key.
        folder: where to write; it must not exist.
    """

    def __init__(
        self, plan: Plan, entries: Mapping[tuple[str, str], Entry], failures: Mapping[str, str], folder: Path
    ) -> None:
        self.plan, self.entries, self.failures, self.folder = plan, entries, failures, folder
        self.layout = plan.layout
        self.views = self.layout.views_per_video
        # Only writing needs zarr, whose import takes longer than `cache info`.
        import zarr
        from zarr.storage import MemoryStore

        # zarr says what the bytes are; this thread writes them. On a disk, zarr's own threads would go on after one of
        # them has failed, and put back the folder that is being removed.
        self.encoded: dict[str, Buffer] = {}
        self.group = zarr.create_group(MemoryStore(self.encoded), zarr_format=3)

    def write(self) -> None:
        """Write every file, the root document last.

        Raises:
            OSError: the disk refuses.
            DamagedChunkError: a finished row changed since it was looked up.
        """
        files: dict[str, str] = {}
        chunks: dict[str, list[str | None]] = {}
        for spec in self.plan.specs:
            stored = self.layout.target(spec)
            array = self._create(stored, spec)
            files[stored.document] = self._written(stored.document)
            chunks[spec.name] = self._place(stored, spec) if stored.own_files else self._copy(stored, spec, array)
        texts, tables = self._texts(), self._tables()
        for name, stored in self.layout.table().items():
            values = np.array(texts[name], dtype=object) if stored.dtype == TEXT else tables[name]
            array = self._create(stored)
            files[stored.document] = self._written(stored.document)
            chunks[name] = self._fill(stored, array, values)
        arrays = self.layout.arrays()
        hashed = {name: values for name, values in tables.items() if not name.endswith("_loss")}
        root = Root(
            kind=self.plan.kind,
            layout=self.layout,
            metadata=self.plan.metadata,
            losses=self._losses(tables),
            files=files,
            chunks=chunks,
            content_digest=content_digest(self.plan.kind, self.layout, texts, hashed),
            checksums={name: self._checksums(arrays[name], digests) for name, digests in chunks.items()},
        )
        self._write(ROOT, root_text(root.description()).encode())

    def _checksums(self, stored: Stored, digests: Sequence[str | None]) -> list[str | None]:
        return [
            None if sha256 is None else trailer(self.folder / stored.chunk(index))
            for index, sha256 in enumerate(digests)
        ]

    def _entry(self, spec: ArraySpec, unit: Unit) -> Entry | None:
        return None if unit.key in self.failures else self.entries[spec.recipe, unit.key]

    def _create(self, stored: Stored, spec: ArraySpec | None = None) -> "zarr.Array[Any]":
        from zarr.codecs import Crc32cCodec

        attributes: dict[str, Any] = {"bits_of": "bfloat16"} if spec is not None and spec.dtype == "bfloat16" else {}
        return self.group.create_array(
            stored.name,
            shape=(stored.num_rows, *stored.shape),
            dtype=stored.dtype,
            chunks=(stored.chunk_rows, *stored.shape),
            shards=None,
            filters=None,
            compressors=[Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": stored.separator},
            fill_value="" if stored.dtype == TEXT else 0,
            dimension_names=("row", *stored.dims),
            attributes=attributes,
            config={"write_empty_chunks": True},
        )

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _written(self, name: str) -> str:
        """Put down a file that zarr has encoded, and return its SHA-256."""
        content = self.encoded.pop(name).to_bytes()
        self._write(name, content)
        return hashlib.sha256(content).hexdigest()

    def _fill(self, stored: Stored, array: "zarr.Array[Any]", values: Array) -> list[str | None]:
        digests: list[str | None] = []
        for chunk in range(stored.num_chunks):
            rows = stored.rows_of(chunk)
            array[rows.start : rows.stop] = values[rows.start : rows.stop]
            digests.append(self._written(stored.chunk(chunk)))
        return digests

    def _copy(self, stored: Stored, spec: ArraySpec, array: "zarr.Array[Any]") -> list[str | None]:
        digests: list[str | None] = []
        for chunk in range(stored.num_chunks):
            rows = stored.rows_of(chunk)
            block = np.zeros((len(rows), *spec.shape), spec.stored_dtype)
            for index in range(rows.start // self.views, math.ceil(rows.stop / self.views)):
                entry = self._entry(spec, self.plan.units[index])
                if entry is None:
                    continue
                first = index * self.views
                start, stop = max(first, rows.start), min(first + self.views, rows.stop)
                block[start - rows.start : stop - rows.start] = entry.rows(spec)[start - first : stop - first]
            array[rows.start : rows.stop] = block
            digests.append(self._written(stored.chunk(chunk)))
        return digests

    def _place(self, stored: Stored, spec: ArraySpec) -> list[str | None]:
        digests: list[str | None] = []
        for index, unit in enumerate(self.plan.units):
            entry = self._entry(spec, unit)
            if entry is not None:
                place(entry.path, self.folder / stored.chunk(index))
            digests.append(None if entry is None else entry.sha256)
        return digests

    def _texts(self) -> dict[str, list[str]]:
        units, views = self.plan.units, self.views
        texts = {
            "video_id": [unit.video_id for unit in units for _ in range(views)],
            "reason": [self.failures.get(unit.key, "") for unit in units for _ in range(views)],
            "video_digest": [unit.video_digest for unit in units for _ in range(views)],
            "source_digest": [unit.source for unit in units for _ in range(views)],
        }
        by_name = {spec.name: spec for spec in self.plan.specs}
        for column in self.plan.columns:
            owner = by_name[self.plan.owner(column) or self.plan.specs[0].name]
            entries = [self._entry(owner, unit) for unit in units]
            texts[column] = [t for entry in entries for t in (entry.columns[column] if entry else [""] * views)]
        return texts

    def _tables(self) -> dict[str, Array]:
        units, views = self.plan.units, self.views
        status = [FAILED if unit.key in self.failures else OK for unit in units for _ in range(views)]
        tables: dict[str, Array] = {
            "view": np.tile(np.arange(views, dtype="<i4"), len(units)),
            "status": np.array(status, np.uint8),
        }
        for spec in self.plan.specs:
            digests = np.zeros((self.layout.num_rows, 32), np.uint8)
            losses = np.zeros((self.layout.num_rows, 2), "<f8")
            for index, unit in enumerate(units):
                entry = self._entry(spec, unit)
                if entry is None:
                    continue
                rows = slice(index * views, (index + 1) * views)
                digests[rows] = np.frombuffer(bytes.fromhex("".join(entry.row_sha256)), np.uint8).reshape(views, 32)
                if entry.loss is not None:
                    losses[rows] = entry.loss
            tables[f"{spec.name}_sha256"] = digests
            if spec.lossy:
                tables[f"{spec.name}_loss"] = losses
        return tables

    def _losses(self, tables: Mapping[str, Array]) -> dict[str, Any]:
        ok = tables["status"] == OK
        return {spec.name: summary(tables[f"{spec.name}_loss"][ok]) for spec in self.plan.specs if spec.lossy}


def summary(losses: Array) -> dict[str, Any]:
    """Sum up per-row losses ``(rows, 2)``; the sum is exact, so that the order of the rows does not matter."""
    if not len(losses):
        return {"rows": 0, "mean_cosine": None, "min_cosine": None, "max_abs_error": None}
    return {
        "rows": len(losses),
        "mean_cosine": math.fsum(losses[:, 0].tolist()) / len(losses),
        "min_cosine": float(losses[:, 0].min()),
        "max_abs_error": float(losses[:, 1].max()),
    }
