"""The pool's collector: by age, by size, by use; never a row in use."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from cache.build import Pool
from cache.store import SpecError, open_store
from cache.tools.gc import collect, listing
from tests.cache.toy import CLIP, EMBEDDING, SPECS, Teacher, build, unit, units


@pytest.fixture(autouse=True)
def _four_videos(tmp_path: Path, pool: Pool) -> None:
    build(tmp_path / "s.zarr", units(4), pool=pool)


def keys(pool: Pool) -> set[str]:
    return {entry.key for entry in listing(pool)}


def age(pool: Pool, number: int, seconds: float) -> None:
    for spec in SPECS:
        about = pool.paths(spec, unit(number))[1]
        os.utime(about, (time.time() - seconds,) * 2)


def test_a_dry_run_removes_nothing_and_says_the_same(tmp_path: Path, pool: Pool) -> None:
    build(tmp_path / "t.zarr", units(2), pool=pool)
    keep = [open_store(tmp_path / "t.zarr")]
    told = collect(pool, keep=keep, unused=True)
    assert (told.dry_run, told.removed, told.remaining) == (True, 4, 4)
    assert len(keys(pool)) == 4
    done = collect(pool, keep=keep, unused=True, dry_run=False)
    assert (done.removed, done.removed_bytes, done.remaining) == (told.removed, told.removed_bytes, told.remaining)
    assert keys(pool) == {unit(0).key, unit(1).key}


def test_what_was_removed_is_adopted_or_computed_again(tmp_path: Path, pool: Pool) -> None:
    collect(pool, max_bytes=0, dry_run=False)
    assert keys(pool) == set()
    assert build(tmp_path / "s.zarr", units(4), pool=pool).adopted == 8


def test_only_old_rows_go_by_age_and_use_makes_young(tmp_path: Path, pool: Pool) -> None:
    for number in range(4):
        age(pool, number, 3600 * (number + 1))
    build(tmp_path / "t.zarr", units(4)[3:], pool=pool)
    collect(pool, older_than_seconds=2.5 * 3600, dry_run=False)
    assert keys(pool) == {unit(0).key, unit(1).key, unit(3).key}


def test_the_longest_unused_go_first_by_size(pool: Pool) -> None:
    for number in range(4):
        age(pool, number, 100 * (10 - number))
    total = sum(entry.num_bytes for entry in listing(pool))
    collect(pool, max_bytes=total // 2, dry_run=False)
    assert keys(pool) == {unit(2).key, unit(3).key}


@pytest.mark.parametrize("by", [{"older_than_seconds": -10.0}, {"max_bytes": 0}, {"unused": True}])
def test_a_row_that_a_named_store_uses_never_goes(tmp_path: Path, pool: Pool, by: dict[str, Any]) -> None:
    build(tmp_path / "t.zarr", units(3)[1:], pool=pool)
    collect(pool, keep=[open_store(tmp_path / "t.zarr")], dry_run=False, **by)
    assert keys(pool) == {unit(1).key, unit(2).key}
    teacher = Teacher()
    build(tmp_path / "t.zarr", units(3)[1:], teacher=teacher, pool=pool)
    assert teacher.asked == []


def test_rows_of_a_running_build_are_passed_by(pool: Pool) -> None:
    with pool.locked([EMBEDDING]):
        done = collect(pool, max_bytes=0, dry_run=False)
    assert done.busy == 1
    assert {entry.recipe for entry in listing(pool)} == {EMBEDDING.recipe}


def test_what_killed_runs_left_goes_too(pool: Pool) -> None:
    folder = pool.recipe_folder(CLIP)
    (folder / ".ab.rows.building-0").write_bytes(b"x")
    orphan = folder / "ab" / f"ab{'0' * 62}.rows"
    (folder / "ab/.ab.rows.building-1").mkdir(parents=True)
    (folder / "ab/.ab.rows.building-1/rows").write_bytes(b"x")
    orphan.write_bytes(b"x")
    assert collect(pool, max_bytes=10**9).leftovers == 3
    assert orphan.exists()
    assert collect(pool, max_bytes=10**9, dry_run=False).removed == 0
    assert not list(folder.rglob(".*"))
    assert not orphan.exists()


def test_bytes_that_a_store_still_links_are_not_counted_as_freed(tmp_path: Path, pool: Pool) -> None:
    told = collect(pool, max_bytes=0)
    linked = sum(pool.paths(CLIP, unit(number))[0].stat().st_size for number in range(4))
    assert told.freed_bytes == told.removed_bytes - linked


def test_something_must_say_what_to_collect(pool: Pool) -> None:
    with pytest.raises(SpecError, match="an age, a size"):
        collect(pool)
    with pytest.raises(SpecError, match="everything would be removed"):
        collect(pool, unused=True)


def test_an_absent_pool_is_empty(tmp_path: Path) -> None:
    assert collect(Pool(tmp_path / "none"), max_bytes=0).remaining == 0
