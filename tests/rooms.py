"""A copy of some rooms' code that a test may change, in which a training's identity then looks."""

import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from pipeline.core.code import ROOT, code_digests
from pipeline.models import saved_state


def copy_of_rooms(folder: Path, rooms: Iterable[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies the Python files of rooms, and has `identity` read the copies.

    Args:
        folder: to make.
        rooms: folders or files relative to the project.
        monkeypatch: undone after the test.

    Returns:
        ``folder``.
    """
    for room in rooms:
        for file in (ROOT / room).rglob("*.py") if (ROOT / room).is_dir() else [ROOT / room]:
            place = folder / file.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    monkeypatch.setattr(saved_state, "code_digests", partial(code_digests, root=folder))
    return folder
