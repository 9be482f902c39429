"""The folder is the registry: ``pipeline/students/swinv2_c2f.py`` is the student ``swinv2_c2f``.

Nothing is registered at import time; a name is looked up among the files of its room, and only the module asked for is
imported. A folder inside a room is never a plug-in.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from pipeline.core.errors import PipelineError, nearest

_PIPELINE = Path(__file__).parents[1]
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("s", ""))


class UnknownName(PipelineError):
    """A name in ``params.yaml`` for which its room has no file."""


def names(room: str) -> list[str]:
    """Lists the names a room offers.

    Args:
        room: a folder of ``pipeline/`` in dotted form, such as ``students`` or ``students.losses``.

    Returns:
        The names of its modules, sorted.
    """
    folder = _PIPELINE.joinpath(*room.split("."))
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.ispkg)


def check(room: str, name: str, also: Sequence[str] = ()) -> None:
    """Refuses a name that a room does not offer.

    Args:
        room: as for `names`.
        name: as in ``params.yaml``.
        also: names that are allowed beside the room's.

    Raises:
        UnknownName: the room has no such file; the message lists what it has and names the nearest.
    """
    known = [*names(room), *also]
    if name not in known:
        kind = _singular(room.rpartition(".")[2])
        raise UnknownName(f"unknown {kind} {name!r}; known: {', '.join(known)}{nearest(name, known)}")


def find(room: str, name: str) -> ModuleType:
    """Imports ``pipeline.<room>.<name>``.

    Raises:
        UnknownName: the room has no such file.
    """
    check(room, name)
    return importlib.import_module(f"pipeline.{room}.{name}")


def file_of_plug_in(room: str, name: str) -> str:
    """The file of ``pipeline.<room>.<name>``, relative to the project where it lies inside."""
    file, project = Path(str(find(room, name).__file__)), _PIPELINE.parent
    return (file.relative_to(project) if file.is_relative_to(project) else file).as_posix()


def _singular(word: str) -> str:
    ending, other = next(pair for pair in _ENDINGS if word.endswith(pair[0]))
    return word.removesuffix(ending) + other
