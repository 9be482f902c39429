"""Where the files of a store are: a folder, or, for a store that DVC stores by content, wherever that is."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

READ_ONLY = 0o444


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, read in pieces, as 64 hexadecimal digits."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def distrust(path: Path) -> None:
    """Take away what makes DVC vouch for a file that is damaged: that it is read-only, and its time.

    By hard link or symbolic link it may be the file in DVC's cache. DVC does not read what is read-only there, and
    would link it into the work tree again and again; now it reads it, finds it damaged, and drops it.
    """
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return
        if stat.S_IMODE(mode) == READ_ONLY:
            path.chmod(READ_ONLY | stat.S_IWUSR)
        os.utime(path)


class Files(Protocol):
    """The files of one store by their path inside it."""

    @property
    def name(self) -> str:
        """What to call the store in an error."""

    def path(self, relative: str) -> Path:
        """Return where a file is; it may be absent there."""

    def listing(self) -> Iterator[str]:
        """Yield the path of every file there is."""


class Folder:
    """A store in a folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    @property
    def name(self) -> str:
        """The folder, as it was given."""
        return str(self.root)

    def path(self, relative: str) -> Path:
        """Return where a file is; it may be absent there."""
        return self.root / relative

    def listing(self) -> Iterator[str]:
        """Yield the path of every file in the folder."""
        for folder, _, files in os.walk(self.root):
            inside = Path(folder).relative_to(self.root).as_posix()
            prefix = "" if inside == "." else f"{inside}/"
            for file in files:
                yield prefix + file
