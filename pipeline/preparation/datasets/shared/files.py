"""The files of a data set's folder, links among them, and the ways in which their names may be written."""

import os
import unicodedata
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from pipeline.core.errors import nearest
from pipeline.core.manifest import ManifestError, resolve

_NEIGHBOURS = 25
"""Names on each side of a wrong one, in alphabetical order, that are compared with it."""


def forms(name: str) -> tuple[str, ...]:
    """A name as it stands, then composed and decomposed: a table and a disk may write one letter in two ways."""
    if name.isascii():
        return (name,)
    return tuple(dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))))


class Names:
    """The paths of a folder, in which the nearest to a wrong one is found soon, however many there are.

    Args:
        paths: with ``/``.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = sorted(paths)
        self._backwards = sorted(path[::-1] for path in self._paths)
        self._by_name = {PurePosixPath(path).name: path for path in self._paths}
        self._by_letters: dict[str, list[str]] = {}
        for path in self._paths:
            self._by_letters.setdefault(path.casefold(), []).append(path)

    def of_same_letters(self, path: str) -> str | None:
        """The only path that differs in nothing but capitals."""
        found = self._by_letters.get(path.casefold(), [])
        return found[0] if len(found) == 1 else None

    def of_same_name(self, path: str) -> str | None:
        """The path that ends in the same name, in whatever folder."""
        return self._by_name.get(PurePosixPath(path.replace("\\", "/")).name)

    def nearest(self, path: str) -> str:
        """As ``pipeline.core.errors.nearest``, which is slow, among those that begin, or end, most alike."""
        ends = [name[::-1] for name in _around(self._backwards, path[::-1])]
        return nearest(path, dict.fromkeys([*_around(self._paths, path), *ends]))


def _around(ordered: Sequence[str], name: str) -> Sequence[str]:
    place = bisect(ordered, name)
    return ordered[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS]


def files_below(folder: Path, data_root: Path, refused: Callable[[str], None]) -> Iterator[str]:
    """Every file below a folder, as a path in it with ``/``, sorted; without hidden ones.

    Args:
        folder: below the data root.
        data_root: what a linked folder may not leave.
        refused: called with what is wrong with a folder that is not entered.
    """
    yield from _walked(folder, "", data_root, refused, (os.path.realpath(folder),))


def _walked(
    folder: Path, below: str, data_root: Path, refused: Callable[[str], None], entered: tuple[str, ...]
) -> Iterator[str]:
    """``entered``: the real folders on the way, so that a link back to one of them ends."""
    try:
        found = sorted((one for one in os.scandir(folder) if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        refused(f"cannot read the folder {folder}: {error.strerror}")
        return
    for one in found:
        name = below + one.name
        if not os.path.isdir(one.path):  # not one.is_dir(), which raises where a link points to itself
            yield name
            continue
        real = os.path.realpath(one.path)
        if real in entered:
            continue
        try:
            resolve(data_root, Path(one.path).relative_to(data_root).as_posix())
        except ManifestError as error:
            refused(str(error))
            continue
        yield from _walked(Path(one.path), f"{name}/", data_root, refused, (*entered, real))
