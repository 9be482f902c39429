"""Publishing a store: built beside its place under another name, then put there in one step.

A kill leaves the old store or the new one, and perhaps a hidden folder beside it, which the next build removes.
"""

import ctypes
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cache.build.lock import Lock
from cache.store.errors import StoreError
from cache.store.layout import ROOT

AT_FDCWD, RENAME_EXCHANGE = -100, 2
UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
OLD = "old"


def check_replaceable(path: Path) -> None:
    """Refuse to replace what is not a store.

    Raises:
        StoreError: something else is there.
    """
    if path.is_dir():
        if any(path.iterdir()) and not (path / ROOT).exists():
            raise StoreError(f"{path} holds files but no store; do: move it away, or choose another path")
    elif path.exists():
        raise StoreError(f"{path} is a file, and a store is a folder; do: move it away, or choose another path")


def clean(path: Path) -> None:
    """Remove what killed builds of a store left beside it; put an old store back that was moved but not replaced.

    Raises:
        OSError: the disk refuses.
    """
    for left in sorted(path.parent.glob(f".{glob.escape(path.name)}.building-*")):
        lock = Lock(left, folder=True)
        try:
            if not lock.try_acquire():
                continue
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            if (left / OLD).exists() and not path.exists():
                os.rename(left / OLD, path)
            shutil.rmtree(left, ignore_errors=True)
        finally:
            lock.release()


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """Lend a hidden folder beside a store, on the same disk, and remove it afterwards.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clean(path)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.building-", dir=path.parent))
        lock = Lock(folder, folder=True)
        try:
            if lock.try_acquire():
                break
        except FileNotFoundError:
            # Another run took the folder for a dead one's before it was locked.
            continue
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _exchange(one: Path, other: Path) -> bool:
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _placed(built: Path, path: Path) -> bool:
    """Whether the store could be put where nothing was; another run may put its own there at any moment."""
    if path.exists():
        return False
    try:
        os.rename(built, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def publish(built: Path, path: Path) -> None:
    """Put a finished store in its place, and what was there into the place of the finished one.

    Args:
        built: the finished store, in a ``workplace``.
        path: where it belongs.

    Raises:
        StoreError: something that is not a store is there.
        OSError: the disk refuses.
    """
    check_replaceable(path)
    if not _placed(built, path) and not _exchange(built, path):
        # Not atomic: `clean` repairs a kill between the two.
        os.rename(path, built.parent / OLD)
        os.rename(built, path)
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
