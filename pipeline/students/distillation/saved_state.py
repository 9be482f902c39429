"""What a training run needs to go on after a kill as if nothing had happened, and how long its steps took."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.core.files import refusals_unwrapped, replacing
from pipeline.core.registry import find

_PIPELINE = Path(__file__).parent


def run_digest(settings: Mapping[str, Any], digests: Mapping[str, str], student: str, losses: Sequence[str]) -> str:
    """Names a run by everything that shapes its result: settings, inputs, and the code that trains.

    Args:
        settings: the section ``distill``.
        digests: of the inputs.
        student: its file's name.
        losses: their files' names.

    Returns:
        16 hexadecimal digits.
    """
    names = ["training.py", "training_state.py", "projection.py", "optimisation.py", "aligned.py", "batches.py"]
    files = [_PIPELINE / name for name in (*names, "students/__init__.py", "losses/__init__.py")]
    found = [find("students", student), *(find("students.losses", name) for name in losses)]
    files += [Path(str(module.__file__)) for module in found]
    code = {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    text = json.dumps([settings, digests, code, torch.__version__, np.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def initial_digest(folder: str | None) -> dict[str, str]:
    """SHA-256 of the weights that a run begins with, as ``{"initial": …}``; empty where it begins anew.

    Args:
        folder: of a trained student, as ``distill.initial``.
    """
    if folder is None:
        return {}
    return {"initial": hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()}


class SavedState:
    """The file in which one run keeps its state between epochs; an equal run beside it keeps its own in the same."""

    def __init__(self, scratch: Path, digest: str) -> None:
        self._path = scratch / f"{digest}.pt"

    def save(self, state: Mapping[str, Any]) -> None:
        """Replaces the saved state in one step, so that a kill leaves either the old one or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as partial, refusals_unwrapped(), partial.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())

    def load(self) -> dict[str, Any] | None:
        """The saved state, on the CPU, or None when the run has none."""
        try:
            state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        return state

    def remove(self) -> None:
        """Forgets the run; an equal run that is still at work may save its own again."""
        self._path.unlink(missing_ok=True)
