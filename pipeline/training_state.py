"""What a training run needs to go on after a kill as if nothing had happened, and how long its steps took."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pipeline.records import refusals_unwrapped, replacing
from pipeline.registry import find

_PIPELINE = Path(__file__).parent


@dataclass
class StepTimes:
    """Seconds that each step waited for data and computed."""

    data_wait: list[float] = field(default_factory=list)
    compute: list[float] = field(default_factory=list)

    def add(self, data_wait: float, compute: float) -> None:
        """Records one step."""
        self.data_wait.append(data_wait)
        self.compute.append(compute)

    def rows(self) -> list[dict[str, Any]]:
        """One row per part: milliseconds per step (mean, median, 95th percentile) and its share of the time."""
        parts = {"data wait": np.array(self.data_wait), "compute": np.array(self.compute)}
        total = sum(float(values.sum()) for values in parts.values()) or 1.0
        return [
            {
                "part": name,
                "mean_ms": round(1e3 * float(values.mean()), 3) if len(values) else 0.0,
                "median_ms": round(1e3 * float(np.median(values)), 3) if len(values) else 0.0,
                "p95_ms": round(1e3 * float(np.percentile(values, 95)), 3) if len(values) else 0.0,
                "share": round(float(values.sum()) / total, 4),
            }
            for name, values in parts.items()
        ]

    def show(self) -> None:
        """Prints the table on standard error."""
        table = Table(title=f"step time over {len(self.compute)} steps")
        rows = self.rows()
        for name in rows[0]:
            table.add_column(name, justify="left" if name == "part" else "right")
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        Console(stderr=True).print(table)


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
    found = [find("students", student), *(find("losses", name) for name in losses)]
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
