"""Full disks, forbidden folders, shared pools, jumping clocks: a clear error, nothing lost, the next run continues."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cache.build import Pool
from cache.store import DiskError, PoolError, open_store
from tests.cache.toy import CLIP, EMBEDDING, SPECS, Teacher, build, tree, unit, units
from tests.imports import ROOT

NOBODY = 65534


@pytest.fixture
def file_limit() -> Any:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(num_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_while_rows_are_kept_loses_none_that_finished(tmp_path: Path, pool: Pool, file_limit: Any) -> None:
    class Filling(Teacher):
        def __call__(self, jobs: Any) -> Any:
            for number, answer in enumerate(super().__call__(jobs)):
                if number == 2:
                    file_limit(10_000)
                yield answer

    path = tmp_path / "s.zarr"
    build(path, units(1), pool=pool)
    before = tree(path)
    with pytest.raises(DiskError, match="video0003.*do: free space"):
        build(path, units(5), teacher=Filling(), pool=pool)
    file_limit(resource.RLIM_INFINITY)
    assert tree(path) == before
    assert not list(tmp_path.glob(".*"))
    assert not list(pool.root.rglob(".*"))
    teacher = Teacher()
    build(path, units(5), teacher=teacher, pool=pool)
    assert teacher.videos == ["video0003", "video0004"]
    build(tmp_path / "undisturbed", units(5))
    assert tree(path) == tree(tmp_path / "undisturbed")


@pytest.mark.parametrize("limit", [0, 300, 1000, 3000])
def test_a_full_disk_while_the_store_is_written_leaves_the_old_one(
    tmp_path: Path, pool: Pool, file_limit: Any, limit: int
) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(1), pool=pool)
    before = tree(path)
    build(tmp_path / "other.zarr", units(30), pool=pool)  # all rows are in the pool now
    file_limit(limit)
    with pytest.raises((DiskError, PoolError), match="do: "):
        build(path, units(30), pool=pool)
    file_limit(resource.RLIM_INFINITY)
    assert tree(path) == before
    assert not list(tmp_path.glob(".*"))
    assert build(path, units(30), pool=pool).reused == 60
    assert tree(path) == tree(tmp_path / "other.zarr")


def test_zarr_itself_writes_nothing_to_the_disk(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads would outlive a failure, and put back what the builder has removed."""
    from zarr.storage import LocalStore

    async def refused(*_: object) -> None:
        raise AssertionError("zarr writes a file")

    for name in ("set", "set_if_not_exists"):
        monkeypatch.setattr(LocalStore, name, refused)
    assert build(tmp_path / "s.zarr", units(3), pool=pool).computed == 6


def as_nobody(program: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a program as a user without rights, if this is root; as oneself otherwise."""
    lines = [
        "import os, sys",
        f"sys.path.insert(0, {str(ROOT)!r})",
        "from pathlib import Path",
        "from tests.cache.toy import *",
        "from cache import *",
        "import zarr",  # now, while Python's own files, which may be in a closed home, can be read
        f"os.getuid() or (os.setgid({NOBODY}), os.setuid({NOBODY}))",
        program,
    ]
    command = [sys.executable, "-c", "\n".join(lines), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def open_to_all(folder: Path) -> None:
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o755)


def test_a_read_only_pool_serves_what_it_has_and_says_what_it_cannot(tmp_path: Path, pool: Pool) -> None:
    build(tmp_path / "mine.zarr", units(2), pool=pool)
    for path in pool.root.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    pool.root.chmod(0o555)
    place = tmp_path / "theirs"
    place.mkdir()
    open_to_all(place)
    place.chmod(0o777)
    program = "print(build(Path(sys.argv[1]), units(int(sys.argv[3])), pool=Pool(sys.argv[2])))"
    done = as_nobody(program, place / "s.zarr", pool.root, 2)
    assert "reused=4" in done.stdout, done.stderr
    done = as_nobody(program, place / "s.zarr", pool.root, 3)
    assert "PoolError: rows are missing, and the pool" in done.stderr
    assert "do: correct its permissions" in done.stderr
    changed = program.replace("pool=Pool", "specs=(LOGITS,), pool=Pool")
    done = as_nobody(changed, place / "s.zarr", pool.root, 2)
    assert "PoolError: cannot use the pool" in done.stderr
    for path in (pool.root, *pool.root.rglob("*")):
        path.chmod(0o755)
    assert tree(tmp_path / "mine.zarr") == tree(place / "s.zarr")


def test_a_store_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    place = tmp_path / "closed"
    place.mkdir()
    open_to_all(place)
    place.chmod(0o555)
    done = as_nobody("build(Path(sys.argv[1]), units(1))", place / "s.zarr")
    assert "DiskError: could not prepare" in done.stderr
    assert "Permission denied" in done.stderr
    place.chmod(0o755)


def test_two_users_share_a_pool(tmp_path: Path, pool: Pool) -> None:
    pool.root.mkdir()
    open_to_all(pool.root)
    pool.root.chmod(0o2777)
    build(tmp_path / "mine.zarr", units(2), pool=pool)
    place = tmp_path / "theirs"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    program = "print(build(Path(sys.argv[1]), units(4), pool=Pool(sys.argv[2])))"
    done = as_nobody(program, place / "s.zarr", pool.root)
    assert "computed=4" in done.stdout, done.stderr
    assert "reused=4" in done.stdout
    report = build(tmp_path / "mine.zarr", units(5), pool=pool)
    assert (report.computed, report.reused) == (2, 8)
    folders = [path for path in pool.root.rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & stat.S_IWOTH for path in folders)


def test_an_unreadable_pool_is_a_clear_error(tmp_path: Path, pool: Pool) -> None:
    build(tmp_path / "s.zarr", units(1), pool=pool)
    place = tmp_path / "theirs"
    place.mkdir()
    open_to_all(place)
    place.chmod(0o777)
    pool.paths(CLIP, unit(0))[0].parent.chmod(0)
    program = "build(Path(sys.argv[1]), units(1), pool=Pool(sys.argv[2]))"
    done = as_nobody(program, place / "s.zarr", pool.root)
    assert "PoolError: cannot read the pool" in done.stderr
    pool.paths(CLIP, unit(0))[0].parent.chmod(0o755)


@pytest.mark.parametrize("seconds", [-(10**9), 4 * 10**9])
def test_a_jumping_clock_changes_nothing(tmp_path: Path, pool: Pool, seconds: int) -> None:
    build(tmp_path / "s.zarr", units(2), pool=pool)
    before = tree(tmp_path / "s.zarr")
    for path in pool.root.rglob("*"):
        now = path.stat().st_mtime
        os.utime(path, (now + seconds, now + seconds))
    assert build(tmp_path / "s.zarr", units(2), pool=pool).reused == 4
    assert tree(tmp_path / "s.zarr") == before


def test_the_time_of_a_linked_file_does_not_change_so_that_dvc_need_not_read_it_again(
    tmp_path: Path, pool: Pool
) -> None:
    build(tmp_path / "s.zarr", units(2), pool=pool)
    chunk = tmp_path / "s.zarr/clip/c.0.0.0.0.0"
    before = chunk.stat()
    os.utime(chunk, ns=(10**18, 10**18))
    build(tmp_path / "s.zarr", units(2), pool=pool)
    after = chunk.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, 10**18)


def test_what_dead_builds_left_is_removed_and_what_lives_is_not(tmp_path: Path, pool: Pool) -> None:
    from cache.store.lock import Lock

    dead, alive = tmp_path / ".s.zarr.building-0", tmp_path / ".s.zarr.building-1"
    foreign = tmp_path / ".t.zarr.building-0"
    for folder in (dead, alive, foreign):
        (folder / "store").mkdir(parents=True)
    with Lock(alive / "lock"):
        build(tmp_path / "s.zarr", units(1), pool=pool)
    assert (dead.exists(), alive.exists(), foreign.exists()) == (False, True, True)


def test_the_pool_is_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert Pool.locate(tmp_path / "a/b").root == tmp_path / ".teachonce/pool"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert Pool.locate(tmp_path / "a/b").root == tmp_path / "main/.teachonce/pool"


def test_a_store_is_as_open_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        build(tmp_path / "s.zarr", units(1), specs=(EMBEDDING,))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s.zarr").stat().st_mode) == 0o750
    assert open_store(tmp_path / "s.zarr").verify() == []
    assert SPECS[0] == EMBEDDING
