"""A file or folder is replaced in one step: a crash between two system calls leaves the whole old or new one."""

import ctypes
import errno
import fcntl
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from cache.store import replacing as module
from cache.store.lock import Lock
from cache.store.replacing import remove_leftovers, replacing, replacing_folder, workplace

CALLS = {os: ("mkdir", "open", "close", "rename", "replace", "unlink", "rmdir", "fsync", "scandir", "listdir", "lstat")}
CALLS |= {fcntl: ("flock",), module: ("_exchanged",)}
"""Module → the names in it by which `replacing` asks something of the system."""


def write_file(path: Path, text: str) -> None:
    with replacing(path, durable=True) as fresh:
        fresh.write_text(text * 3)


def write_folder(path: Path, text: str) -> None:
    with replacing_folder(path, durable=True) as fresh:
        for name in ("one", "two"):
            (fresh / name).write_text(text)
        (fresh / "below").mkdir()
        (fresh / "below/three").write_text(text)


def content(path: Path) -> str:
    """``old`` or ``new`` where that is all there is, ``absent``, or what else is there."""
    if not path.exists():
        return "absent"
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    assert len(files) == (1 if path.is_file() else 3), files
    text = "".join(file.read_text() for file in files)
    return text[:3] if text == text[:3] * 3 else text


def in_a_child(work: Callable[[], None]) -> int:
    """Exit status of a forked process that does the work."""
    if (child := os.fork()) == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_before(number: int, work: Callable[[], None], names: Path) -> None:
    """Does the work, writes down each call that it asks of the system, and kills this process before the given one."""
    log = os.open(names, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    done = 0

    def counted(name: str, real: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        nonlocal done
        done += 1
        os.write(log, f"{name}\n".encode())
        if done > number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    for owner, calls in CALLS.items():
        for name in calls:
            real = getattr(owner, name)
            setattr(owner, name, lambda *a, _name=name, _real=real, **k: counted(_name, _real, *a, **k))
    work()


@pytest.mark.parametrize("replaced", ["old", "absent"])
@pytest.mark.parametrize(("write", "exchange"), [(write_file, True), (write_folder, True), (write_folder, False)])
def test_a_crash_between_any_two_system_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None], exchange: bool, replaced: str
) -> None:
    if not exchange:
        monkeypatch.setattr(module, "_exchanged", lambda one, other: False)
    table: list[tuple[str, str]] = []
    for number in range(1000):
        path, names = tmp_path / f"{number}/x", tmp_path / "names"
        path.parent.mkdir()
        if replaced == "old":
            write(path, "old")
        status = in_a_child(lambda n=number, p=path, f=names: dying_before(n, lambda: write(p, "new"), f))
        table.append((names.read_text().split()[-1] if status else "(end)", content(path)))
        if status and table[-1][1] == "absent":
            with pytest.raises(KeyError), replacing_folder(path):
                raise KeyError
            assert content(path) == replaced, "the next call puts the old one back, even if it fails itself"
        write(path, "next"[:3])
        assert (content(path), os.listdir(path.parent)) == ("nex", ["x"])
        if not status:
            break
    print(f"{write.__name__}, exchange {exchange}, in the place of: {replaced}", *table, sep="\n")
    seen = [there for _, there in table]
    turn = seen.index("new")
    between = ["absent"] if write is write_folder and not exchange and replaced == "old" else []
    assert seen == ["old" if replaced == "old" else "absent"] * (turn - len(between)) + between + ["new"] * (
        len(seen) - turn
    )
    assert status == 0
    assert len(table) > 12


def replace_many_times(write: Callable[[Path, str], None], path: Path, text: str) -> None:
    for _ in range(100):
        write(path, text)


@pytest.mark.parametrize(("write", "exchange"), [(write_file, True), (write_folder, True), (write_folder, False)])
def test_two_runs_that_replace_one_thing_at_once_leave_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None], exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(module, "_exchanged", lambda one, other: False)
    runs = [get_context("fork").Process(target=replace_many_times, args=(write, tmp_path / "x", t)) for t in "ab"]
    for run in runs:
        run.start()
    seen = set()
    while any(run.is_alive() for run in runs):
        if write is write_file and (tmp_path / "x").exists():
            seen.add((tmp_path / "x").read_text())
    assert [run.exitcode for run in runs] == [0, 0]
    assert seen <= {"aaa", "bbb"}
    assert os.listdir(tmp_path) == ["x"]
    assert content(tmp_path / "x") in ("aaa", "bbb")


def half_written(place: AbstractContextManager[Path], inside: str) -> None:
    with place as fresh:
        (fresh / inside).write_text("half")
        raise OSError("full")


def test_a_failed_write_leaves_the_old_file_and_folder(tmp_path: Path) -> None:
    write_file(tmp_path / "a.txt", "old")
    write_folder(tmp_path / "model", "old")
    for place, inside in ((replacing(tmp_path / "a.txt"), "."), (replacing_folder(tmp_path / "model"), "b.txt")):
        with pytest.raises(OSError, match="full"):
            half_written(place, inside)
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "model"]
    assert content(tmp_path / "a.txt") == content(tmp_path / "model") == "old"


def test_what_dead_runs_left_goes_and_what_others_are_making_stays(tmp_path: Path) -> None:
    dead, alive, file = (tmp_path / f".x.building-{number}" for number in range(3))
    for folder in (dead, alive):
        (folder / "new").mkdir(parents=True)
    file.write_text("no folder")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (tmp_path / ".y.building-0").symlink_to(elsewhere)
    (tmp_path / ".z.building-0").mkdir()
    with Lock(alive / "lock"):
        with workplace(tmp_path / "x") as one, workplace(tmp_path / "x") as other:
            assert (one.name, other.name) == (".x.building-0", ".x.building-3")
            assert os.listdir(one) == ["lock"]
        write_folder(tmp_path / "y", "new")
        remove_leftovers(tmp_path)
        left = {".x.building-1", ".x.building-2", ".y.building-0", "elsewhere", "y"}
        assert set(os.listdir(tmp_path)) == left
    assert os.listdir(elsewhere) == ["precious"]


def test_a_workplace_that_its_last_run_removes_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = [], os.mkdir

    def removed_first(path: Path, *mode: int) -> None:
        real(path, *mode)
        made.append(path)
        if len(made) == 1:
            os.rmdir(path)

    monkeypatch.setattr(os, "mkdir", removed_first)
    with workplace(tmp_path / "x") as folder:
        assert folder.is_dir()
    assert len(made) == 2
    assert os.listdir(tmp_path) == []


def test_a_disk_without_room_for_the_lock_says_so_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: Path, flags: int, *mode: int, **more: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left"), replacing(tmp_path / "x") as fresh:
        fresh.touch()
    assert os.listdir(tmp_path) == []


def test_a_link_takes_the_place_of_another_name_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "stored").write_text("x")
    for _ in range(2):
        with replacing(tmp_path / "video") as fresh:
            os.link(tmp_path / "stored", fresh)
    assert sorted(os.listdir(tmp_path)) == ["stored", "video"]
    assert (tmp_path / "stored").stat().st_nlink == 2


def test_the_kernels_refusal_of_an_exchange_is_told_from_its_absence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "x", "old")
    for code, fails in ((errno.EINVAL, False), (errno.EACCES, True)):
        library = type("Library", (), {"renameat2": staticmethod(lambda *_, code=code: ctypes.set_errno(code) or -1)})
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, library=library, **__: library)
        if fails:
            with pytest.raises(PermissionError):
                write_folder(tmp_path / "x", "new")
        else:
            write_folder(tmp_path / "x", "mid")
        assert content(tmp_path / "x") == "mid"
        assert os.listdir(tmp_path) == ["x"]


def test_a_new_file_and_folder_are_as_open_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "file", "new")
        write_folder(tmp_path / "folder", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750
