"""Adoption: taking rows from an older store that was made in the same way from the same sources.

A clip file is linked, a small row copied; either is compared with its digest first. A store that is missing, damaged
or of another format is passed over with a word in the log: whatever is not adopted is computed.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cache.build.assemble import Plan
from cache.build.pool import Entry, Pool, row_digests
from cache.store.chunks import CRC_BYTES
from cache.store.errors import StoreError
from cache.store.files import distrust, file_digest
from cache.store.precision import Stored
from cache.store.specs import OK, ArraySpec, Unit
from cache.store.store import Store, open_store

logger = logging.getLogger(__name__)
Source = str | os.PathLike[str] | Store | Callable[[], Iterable[Store]]


def _opened(source: Source) -> list[Store]:
    if isinstance(source, Store):
        return [source]
    if callable(source):
        return list(source())
    return [open_store(source)] if (Path(source) / "zarr.json").exists() else []


def adopt_rows(
    plan: Plan,
    pool: Pool,
    sources: Sequence[Source],
    entries: dict[tuple[str, str], Entry],
    adopted: set[str],
) -> None:
    """Take what is missing from older stores into the pool.

    Args:
        plan: what is wanted.
        pool: where adopted rows go.
        sources: the stores; later ones are opened only when something is still missing.
        entries: finished rows by (recipe, unit key); filled in.
        adopted: keys of which something was adopted; filled in.

    Raises:
        DiskError: the pool cannot be written.
    """
    for source in sources:
        missing = {
            spec.name: {unit.key: unit for unit in plan.units if (spec.recipe, unit.key) not in entries}
            for spec in plan.specs
        }
        if not any(missing.values()):
            return
        try:
            stores = _opened(source)
        except StoreError as error:
            logger.warning("nothing adopted from %s: %s", source, error)
            continue
        for store in stores:
            for spec in plan.specs:
                _adopt_array(plan, pool, store, spec, missing[spec.name], entries, adopted)


def _adopt_array(
    plan: Plan,
    pool: Pool,
    store: Store,
    spec: ArraySpec,
    missing: dict[str, Unit],
    entries: dict[tuple[str, str], Entry],
    adopted: set[str],
) -> None:
    there = store.arrays.get(spec.name)
    if not missing or not store.intact or there is None or there.recipe != spec.recipe:
        return
    owned = plan.owned(spec)
    if not set(owned) <= set(store.columns):
        return
    try:
        table = OldRows(store, spec, owned)
        units = store.units()
    except StoreError as error:
        logger.warning("nothing adopted from %s: %s", store, error)
        return
    for index, unit in enumerate(units):
        wanted = missing.get(unit.key)
        if wanted is None:
            continue
        try:
            entry = table.take(index, wanted, pool)
        except StoreError as error:
            logger.warning("%s of %s not adopted: %s", spec.name, unit.video_id, error)
            table.distrust(index)
            continue
        if entry is not None:
            entries[spec.recipe, unit.key] = entry
            adopted.add(unit.key)
            del missing[unit.key]


class OldRows:
    """One array of an older store, with the tables that describe its rows.

    Args:
        store: the store.
        spec: the array.
        columns: the text columns that belong to it.
    """

    def __init__(self, store: Store, spec: ArraySpec, columns: Sequence[str]) -> None:
        self.store, self.spec = store, spec
        self.stored = store.root.layout.target(spec)
        self.digests = store.row_digests(spec.name)
        self.losses = store.losses(spec.name)
        self.columns = {column: store.column(column) for column in columns}

    def take(self, index: int, unit: Unit, pool: Pool) -> Entry | None:
        """Bring one video's rows into the pool; None when they failed there.

        Raises:
            StoreError: their bytes are missing or changed.
            DiskError: the pool cannot be written.
        """
        views = self.store.views_per_video
        rows = range(index * views, (index + 1) * views)
        if not (self.store.status[rows.start : rows.stop] == OK).all():
            return None
        loss = None if self.losses is None else [list(map(float, self.losses[row])) for row in rows]
        columns = {name: texts[rows.start : rows.stop] for name, texts in self.columns.items()}
        digests = self.digests[rows.start : rows.stop]
        if self.stored.own_files:
            return self._link(index, unit, pool, Entry(Path(), "", digests, loss, columns))
        values = self.store.read_stored(self.spec.name, list(rows))
        if row_digests(values) != digests:
            raise StoreError("its bytes do not have the digests the store lists")
        pairs = None if loss is None else [(cosine, error) for cosine, error in loss]
        return pool.put(self.spec, unit, Stored(values, pairs), columns, adopted=True)

    def distrust(self, index: int) -> None:
        """Keep DVC from handing out again the files that hold one video's rows."""
        views = self.store.views_per_video
        first, last = index * views, (index + 1) * views - 1
        for chunk in range(first // self.stored.chunk_rows, last // self.stored.chunk_rows + 1):
            distrust(self.store.files.path(self.stored.chunk(chunk)))

    def _link(self, index: int, unit: Unit, pool: Pool, entry: Entry) -> Entry:
        name = self.stored.chunk(index)
        path = self.store.files.path(name)
        expected = self.store.root.chunks[self.spec.name][index]
        try:
            size, sha256 = path.stat().st_size, file_digest(path)
        except OSError as error:
            raise StoreError(f"{name} cannot be read: {error}") from error
        if sha256 != expected or size != unit.num_rows * self.spec.row_bytes + CRC_BYTES:
            raise StoreError(f"{name} changed after writing")
        return pool.link(self.spec, unit, Entry(path, sha256, entry.row_sha256, entry.loss, entry.columns))
