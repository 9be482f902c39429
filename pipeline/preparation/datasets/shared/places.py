"""Where a video may lie: the templates of its path, tried in turn, and the nearest name where none is right."""

import os
import stat
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.core.manifest import ManifestError, resolve
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.files import Names, files_below, forms


class NotAFile(PipelineError):
    """A name is there, but not a file's."""


class Places:
    """Finds the files of a data set's folder.

    Args:
        name: of the data set.
        data_root: what no path may leave.
        folder: below it.
        templates: of a video's path in the folder.
    """

    def __init__(self, name: str, data_root: Path, folder: str, templates: Sequence[str]) -> None:
        self._name, self._root, self._folder, self._templates = name, data_root, folder, templates
        self._inside: dict[str, bool] = {}

    def names(self, fields: Mapping[str, str]) -> list[str]:
        """What the templates make of a row's fields.

        Raises:
            DatasetError: a template has a field that the rows lack.
        """
        return [self._fill(template, fields) for template in self._templates]

    def find(self, names: Sequence[str]) -> str | None:
        """The first of these names that is a file's; capitals differ where no other file does.

        Raises:
            ManifestError: a name leaves the data root.
            NotAFile: it is a broken link, a pipe or a device.
        """
        for name in (form for written in names for form in forms(written)):
            if self._is_file(name):
                return name
        for name in names:
            found = self._listed.of_same_letters(name)
            if found and self._is_file(found):
                return found
        return None

    def nearest(self, names: Sequence[str]) -> str:
        """What may have been meant, for a message."""
        for name in names:
            found = self._listed.of_same_name(name)
            if found:
                return f"; did you mean {found!r}? set prepare.options.{self._name}.paths"
        return self._listed.nearest(names[0])

    def _is_file(self, name: str) -> bool:
        place = below(self._folder, name)
        if self._is_plain(place):
            try:
                mode = os.lstat(f"{self._root}/{place}").st_mode
            except (FileNotFoundError, NotADirectoryError):
                return False
            if stat.S_ISREG(mode):
                return True
        path = resolve(self._root, place)
        if path.is_file():
            return True
        if os.path.lexists(path) and not path.is_dir():
            raise NotAFile(f"{name} is no file but a broken link, a pipe or a device; remove it")
        return False

    def _is_plain(self, place: str) -> bool:
        """Whether a path's folder is inside the data root, found once a folder: following links is slow."""
        parent = place.rpartition("/")[0]
        if parent not in self._inside:
            try:
                resolve(self._root, parent or ".")
                self._inside[parent] = True
            except ManifestError:
                self._inside[parent] = False
        return self._inside[parent] and ".." not in place and "\0" not in place

    def _fill(self, template: str, fields: Mapping[str, str]) -> str:
        try:
            return template.format_map(fields)
        except (KeyError, IndexError, ValueError, AttributeError):
            raise DatasetError(
                f"prepare.options.{self._name}.paths: {template!r} cannot be filled in; its fields are "
                f"{', '.join(fields)}; name the field that holds the path, such as '{{{next(iter(fields), '')}}}'"
            ) from None

    @cached_property
    def _listed(self) -> Names:
        return Names(files_below(self._root / self._folder, self._root, lambda _: None))


def below(folder: str, name: str) -> str:
    """A name in a folder as a path below the data root; one that begins anew stays as it is, to be refused."""
    return name if name.startswith("/") else f"{folder}/{name}"
