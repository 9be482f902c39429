"""Collecting the pool's garbage: by age, by size, or by what no named store uses; never what one of them uses.

An array's rows are collected under its lock, so that a run that is using them makes the collector pass them by.
"""

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.build.pool import Pool
from cache.store.errors import PoolError, SpecError
from cache.store.lock import Lock
from cache.store.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pooled:
    """One unit's rows of one array, as the collector sees them.

    Attributes:
        recipe: folder of the array.
        key: name of the unit's rows.
        rows: the chunk file.
        about: its description.
        num_bytes: bytes of both.
        frees: bytes that the disk gets back; 0 where a store still links the chunk file.
        used: when it was last used, seconds since the epoch.
    """

    recipe: str
    key: str
    rows: Path
    about: Path
    num_bytes: int
    frees: int
    used: float


@dataclass(frozen=True)
class Collected:
    """What was, or in a dry run would be, removed.

    Attributes:
        dry_run: whether it still stands.
        removed: entries.
        removed_bytes: their bytes.
        freed_bytes: bytes that the disk gets back; stores may still link the rest.
        remaining: entries that stay.
        remaining_bytes: their bytes.
        busy: arrays passed by because a run is using them.
        leftovers: files of killed runs.
    """

    dry_run: bool
    removed: int
    removed_bytes: int
    freed_bytes: int
    remaining: int
    remaining_bytes: int
    busy: int
    leftovers: int


def listing(pool: Pool) -> Iterator[Pooled]:
    """Yield everything in a pool.

    Raises:
        PoolError: it cannot be read.
    """
    try:
        recipes = sorted(path for path in pool.root.iterdir() if path.is_dir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise PoolError(f"cannot read the pool {pool.root}: {error}; do: correct its permissions") from error
    for recipe in recipes:
        for about in sorted(recipe.glob("??/*.json")):
            rows = about.with_suffix(".rows")
            with contextlib.suppress(FileNotFoundError):
                description, chunk = about.stat(), rows.stat()
                frees = description.st_size + (chunk.st_size if chunk.st_nlink == 1 else 0)
                num_bytes = description.st_size + chunk.st_size
                yield Pooled(recipe.name, about.stem, rows, about, num_bytes, frees, description.st_mtime)


def in_use(stores: Sequence[Store]) -> set[tuple[str, str]]:
    """Return (recipe, key) of every row that the stores hold."""
    return {(spec.recipe, unit.key) for store in stores for unit in store.units() for spec in store.arrays.values()}


def collect(
    pool: Pool,
    *,
    keep: Sequence[Store] = (),
    unused: bool = False,
    older_than_seconds: float | None = None,
    max_bytes: int | None = None,
    dry_run: bool = True,
) -> Collected:
    """Remove rows from a pool.

    Args:
        pool: the pool.
        keep: stores whose rows stay, whatever else is asked.
        unused: remove everything that ``keep`` does not use.
        older_than_seconds: remove what was not used for so long.
        max_bytes: then remove what was used longest ago until the pool is this small.
        dry_run: only say what would be removed.

    Raises:
        SpecError: nothing says what to remove, or ``unused`` without a store.
        PoolError: the pool cannot be read or written.
    """
    if not unused and older_than_seconds is None and max_bytes is None:
        raise SpecError("got nothing to collect by; expected an age, a size, or the stores whose rows stay")
    if unused and not keep:
        raise SpecError("got no store; expected the stores whose rows stay, else everything would be removed")
    used = in_use(keep)
    entries = list(listing(pool))
    free = sorted((e for e in entries if (e.recipe, e.key) not in used), key=lambda e: (e.used, e.recipe, e.key))
    old = time.time() - older_than_seconds if older_than_seconds is not None else None
    chosen = [entry for entry in free if unused or (old is not None and entry.used < old)]
    if max_bytes is not None:
        left = sum(entry.num_bytes for entry in entries) - sum(entry.num_bytes for entry in chosen)
        names = {(entry.recipe, entry.key) for entry in chosen}
        for entry in free:
            if left <= max_bytes:
                break
            if (entry.recipe, entry.key) not in names:
                chosen.append(entry)
                left -= entry.num_bytes
    return _remove(pool, entries, chosen, dry_run)


def _remove(pool: Pool, entries: Sequence[Pooled], chosen: Sequence[Pooled], dry_run: bool) -> Collected:
    by_recipe: dict[str, list[Pooled]] = {entry.recipe: [] for entry in entries}
    for entry in chosen:
        by_recipe[entry.recipe].append(entry)
    gone: list[Pooled] = []
    busy = leftovers = 0
    for recipe, wanted in by_recipe.items():
        lock = Lock(pool.root / recipe / "lock")
        try:
            if not lock.try_acquire():
                busy += 1
                continue
            try:
                left = list(_left_over(pool.root / recipe))
                leftovers += len(left)
                gone += [entry for entry in wanted if dry_run or _unlink(entry)]
                if not dry_run:
                    for path in left:
                        _clear(path)
            finally:
                lock.release()
        except OSError as error:
            raise PoolError(f"cannot clean the pool {pool.root}: {error}; do: correct its permissions") from error
    removed = sum(entry.num_bytes for entry in gone)
    return Collected(
        dry_run=dry_run,
        removed=len(gone),
        removed_bytes=removed,
        freed_bytes=sum(entry.frees for entry in gone),
        remaining=len(entries) - len(gone),
        remaining_bytes=sum(entry.num_bytes for entry in entries) - removed,
        busy=busy,
        leftovers=leftovers,
    )


def _unlink(entry: Pooled) -> bool:
    """Remove an entry unless it was used since it was listed."""
    try:
        if entry.about.stat().st_mtime != entry.used:
            return False
    except FileNotFoundError:
        return False
    # Without its description the chunk file no longer counts, so a kill in between loses nothing that counts.
    entry.about.unlink()
    entry.rows.unlink(missing_ok=True)
    return True


def _left_over(recipe: Path) -> Iterator[Path]:
    for path in (*recipe.glob(".*"), *recipe.glob("??/.*"), *recipe.glob("??/*.rows")):
        if path.suffix != ".rows" or not path.with_suffix(".json").exists():
            yield path


def _clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
