"""Replacing a file or a folder in one step: a reader gets, at any moment, the whole old one or the whole new one.

The new one is built in a hidden folder beside its place, ``.<name>.building-<number>``, whose file ``lock`` is locked
by the run that builds. A run that is killed leaves the folder, and its lock goes with it; the next run that replaces
the same thing takes the folder over, empty. A file takes its place by ``rename``. A folder that replaces another takes
its place by Linux's ``renameat2(RENAME_EXCHANGE)``.

Where the kernel or the file system has no exchange (macOS, some network file systems), a folder is replaced by two
renames, and a reader may find nothing between them; after a kill there, the next call puts the old folder back first.

DVC may store an output and its cache as one file, by hard link; whoever writes into such a file changes what the cache
holds under the old digest. Nothing here writes into a file that is there.
"""

import ctypes
import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cache.store.lock import Lock

AT_FDCWD, RENAME_EXCHANGE = -100, 2
UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
LOCK, NEW, OLD = "lock", "new", "old"


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Replace a file, or make it.

    Args:
        path: of the file; folders above it are made when missing.
        durable: whether the file is forced to the disk before it takes its place, and its name after: for what would
            cost hours to make again after a power failure.

    Yields:
        A name, this run's alone, under which to make the file. On success it takes the place in one step; else it goes.

    Raises:
        OSError: the disk refuses, or no file was made.
    """
    with workplace(path) as place:
        yield place / NEW
        if durable:
            _force(place / NEW)
        os.replace(place / NEW, path)
        if durable:
            _force(path.parent)


@contextmanager
def replacing_folder(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Replace a folder, or make it; folders above it are made when missing.

    Args:
        path: of the folder.
        durable: as for `replacing`, for every file in it.

    Yields:
        An empty folder, this run's alone. On success it takes the place in one step; else it goes.

    Raises:
        OSError: the disk refuses.
    """
    with workplace(path) as place:
        fresh = place / NEW
        os.mkdir(fresh)
        yield fresh
        publish(fresh, path, durable=durable)


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """Lend a hidden, locked folder beside a path, on the same disk, and remove it afterwards.

    For a run that builds what `publish` puts in its place, and needs files beside it until then.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    places = (path.with_name(f".{path.name}.building-{number}") for number in itertools.count())
    place, lock = next((place, lock) for place in places if (lock := _taken(place, path)) is not None)
    try:
        yield place
    finally:
        _remove(place, path, lock)


def publish(fresh: Path, path: Path, *, durable: bool = False) -> None:
    """Put a finished folder in its place, and what was there into the `workplace` of the finished one.

    Args:
        fresh: the folder, directly in a `workplace`.
        path: where it belongs.
        durable: as for `replacing`, for every file in it.

    Raises:
        OSError: the disk refuses.
    """
    if durable:
        for folder, _, files in os.walk(fresh, topdown=False):
            for name in files:
                _force(Path(folder) / name)
            _force(Path(folder))
    # Another run may put its own there, or take it away, between any two of these.
    for number in itertools.count():
        if _renamed(fresh, path) or _exchanged(fresh, path):
            break
        with suppress(FileNotFoundError):
            os.rename(path, fresh.parent / f"{OLD}{number}")
    if durable:
        _force(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left in a folder, beside things that may never be replaced again.

    Raises:
        OSError: the folder cannot be read or written.
    """
    for place in folder.glob(".*.building-*"):
        path = place.with_name(place.name[1:].rpartition(".building-")[0])
        lock = _taken(place, path)
        if lock is not None:
            _remove(place, path, lock)


def _taken(place: Path, path: Path) -> Lock | None:
    """Lock a workplace that is new or a dead run's, and empty it; None where it is another run's or another user's."""
    lock = Lock(place / LOCK)
    while not os.path.islink(place):
        with suppress(FileExistsError):
            os.mkdir(place)
        try:
            if not lock.try_acquire():
                return None
        except FileNotFoundError:
            continue  # the run that had it removed it just now
        except (PermissionError, NotADirectoryError):
            return None
        except OSError:
            with suppress(OSError):
                os.rmdir(place)
            raise
        with suppress(OSError):
            _clear(place, path)
            if os.listdir(place) == [LOCK]:
                return lock
        lock.release()
        return None
    return None


def _remove(place: Path, path: Path, lock: Lock) -> None:
    with suppress(OSError):
        _clear(place, path)
        os.unlink(place / LOCK)
        os.rmdir(place)
    lock.release()


def _clear(place: Path, path: Path) -> None:
    """Empty a workplace, but for its lock; what was moved away and not replaced goes back."""
    for name in sorted(os.listdir(place), reverse=True):
        left = place / name
        if name.startswith(OLD) and not os.path.lexists(path):
            _renamed(left, path)
        elif name != LOCK and left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        elif name != LOCK:
            left.unlink(missing_ok=True)


def _renamed(fresh: Path, path: Path) -> bool:
    """Whether a folder could be put where nothing, or an empty folder, was."""
    try:
        os.rename(fresh, path)
    except OSError as error:
        if error.errno not in OCCUPIED:
            raise
        return False
    return True


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names could be exchanged in one step."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (*UNSUPPORTED, errno.ENOENT):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
