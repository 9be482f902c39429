"""A lock between processes that a dead process cannot hold on to.

The kernel's ``flock`` belongs to an open file, so it goes when its process goes, however it ends. A forked child (a
data-loading worker, say) would inherit it and hold it past its parent's death; it therefore closes its copy at birth.
``filelock`` was tried and left out: its locks live on in forked children, and it opens for writing, which two users
who share a pool may not both be allowed to.
"""

import contextlib
import fcntl
import logging
import os
import socket
import time
import weakref
from pathlib import Path
from types import TracebackType

from cache.store.errors import LockTimeoutError

logger = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, REMIND_SECONDS = 0.02, 1.0, 60.0
_held: "weakref.WeakSet[Lock]" = weakref.WeakSet()


class Lock:
    """An exclusive lock on a file, which is made when absent.

    Args:
        path: the file; never a folder, which a network file system cannot lock.
        wait_seconds: how long to wait for another holder; None waits as long as it lives.
    """

    def __init__(self, path: Path, wait_seconds: float | None = None) -> None:
        self.path = path
        self.wait_seconds = wait_seconds
        self._fd: int | None = None

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as refusal:
            # Another user's file, or a read-only disk: reading rights are enough to lock it.
            try:
                return os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                raise refusal from None

    def try_acquire(self) -> bool:
        """Take the lock if it is free now.

        Raises:
            OSError: the file cannot be opened.
        """
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine, there = os.fstat(fd), self.path.stat()
        except (BlockingIOError, FileNotFoundError):
            os.close(fd)
            return False
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            os.close(fd)
            return False
        self._fd = fd
        _held.add(self)
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return True

    def _holder(self) -> str:
        try:
            return self.path.read_text(errors="replace").strip()[:200] or "another run"
        except OSError:
            return "another run"

    def acquire(self) -> None:
        """Take the lock, waiting for its holder to finish or die, and saying so.

        Raises:
            LockTimeoutError: ``wait_seconds`` passed.
            OSError: the file cannot be opened.
        """
        start = time.monotonic()
        pause, next_word = FIRST_PAUSE_SECONDS, 0.2
        while not self.try_acquire():
            waited = time.monotonic() - start
            if self.wait_seconds is not None and waited >= self.wait_seconds:
                raise LockTimeoutError(
                    f"waited {waited:.0f} s for {self._holder()}, which holds {self.path}; do: let it finish, or end it"
                )
            if waited >= next_word:
                logger.warning("waiting for %s, which computes the same rows (%s)", self._holder(), self.path)
                next_word = waited + REMIND_SECONDS
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            _held.discard(self)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _close_in_child() -> None:
    # Closing a forked copy leaves the parent's lock as it is; unlocking it would not.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_close_in_child)
