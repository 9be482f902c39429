"""Trainings that are killed, and copies of their code that a test may change."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.code import ROOT, code_digests
from pipeline.models import saved_state
from pipeline.models.saved_state import SavedState


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


def change(root: Path, room: str) -> str:
    """Adds a statement to one file of a room's copy, and returns the file relative to ``root``."""
    file = root / room if room.endswith(".py") else sorted((root / room).rglob("[a-z]*.py"))[0]
    file.write_text(file.read_text(encoding="utf-8") + "\n_ADDED = 1\n", encoding="utf-8")
    return file.relative_to(root).as_posix()


def kill(monkeypatch: pytest.MonkeyPatch, epochs: int, work: Callable[[], object]) -> None:
    """Ends a training after it has saved so many epochs.

    Args:
        monkeypatch: of the test.
        epochs: when to end it.
        work: trains.
    """
    save = SavedState.save

    def save_then_die(self: SavedState, state: Mapping[str, Any]) -> None:
        save(self, state)
        if state["history"][-1]["epoch"] == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SavedState, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            work()
