"""Where the files of a store are: a folder, or, for a store that DVC keeps by content, wherever DVC keeps them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


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
