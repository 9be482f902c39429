"""The folder is the registry: ``pipeline/students/swinv2_c2f.py`` is the student ``swinv2_c2f``.

Nothing is registered at import time; a name is looked up among the files of its room, and only the module asked for is
imported.
"""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from pipeline.errors import PipelineError, nearest

_HERE = Path(__file__).parent


class UnknownName(PipelineError):
    """A name in ``params.yaml`` for which its room has no file."""


def names(room: str) -> list[str]:
    """Lists the names a room offers.

    Args:
        room: a folder of ``pipeline/``, such as ``students``.

    Returns:
        The names of its modules, sorted; those that begin with an underscore are the room's own.
    """
    return sorted(
        module.name for module in pkgutil.iter_modules([str(_HERE / room)]) if not module.name.startswith("_")
    )


def find(room: str, name: str) -> ModuleType:
    """Imports ``pipeline.<room>.<name>``.

    Raises:
        UnknownName: the room has no such file; the message lists what it has and names the nearest.
    """
    known = names(room)
    if name not in known:
        raise UnknownName(f"unknown {room.rstrip('s')} {name!r}; known: {', '.join(known)}{nearest(name, known)}")
    return importlib.import_module(f"pipeline.{room}.{name}")
