"""The file from which an interrupted training goes on, tied to all that shapes its result."""

import hashlib
import io
import json
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pipeline.core.code import code_digests
from pipeline.core.files import refusals_unwrapped, replacing

LIBRARIES = ("accelerate", "numpy", "scikit-learn", "scipy", "torch", "transformers", "zarr")
"""Their versions shape a value that is trained."""
_MOST_SHOWN = 5


def identity(
    stage: str, rooms: Iterable[str], settings: Mapping[str, Any], data: Mapping[str, str], device: torch.device
) -> dict[str, str]:
    """All that shapes the result of a training, part by part.

    Args:
        stage: the name of its settings' section.
        rooms: the code that it depends on, as for `code_digests`.
        settings: of the section.
        data: name → digest of each input.
        device: that computes.

    Returns:
        What a message calls the part → its value.
    """
    processor = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    )
    return {
        **{f"the code of {file}": digest for file, digest in code_digests(*rooms).items()},
        **{f"{stage}.{name}": repr(value) for name, value in settings.items()},
        **{f"the data ({name})": digest for name, digest in data.items()},
        **{f"the version of {name}": version(name) for name in LIBRARIES},
        "the processor": f"{processor} {torch.backends.cpu.get_cpu_capability()}",
    }


class SavedState:
    """The state of one training between epochs, in a file of the training's own.

    The file is a line of JSON (the identity of the training, the digest of the rest), then what ``torch.save`` wrote.

    Args:
        scratch: folder of the states of this stage's unfinished trainings.
        made_from: see `identity`. Only a training with the same goes on from the state.
    """

    def __init__(self, scratch: Path, made_from: Mapping[str, str]) -> None:
        self._made_from = dict(made_from)
        name = hashlib.sha256(json.dumps(self._made_from, sort_keys=True).encode()).hexdigest()[:16]
        self._path = scratch / f"{name}.state"

    def save(self, state: Mapping[str, Any]) -> None:
        """Replaces the saved state in one step, so that a kill leaves either the old one or the new one."""
        content = io.BytesIO()
        torch.save(dict(state), content)
        digest = hashlib.sha256(content.getbuffer()).hexdigest()
        with replacing(self._path, durable=True) as fresh, refusals_unwrapped(), fresh.open("wb") as file:
            file.write(json.dumps({"made_from": self._made_from, "sha256": digest}).encode() + b"\n")
            file.write(content.getbuffer())

    def load(self) -> dict[str, Any] | None:
        """The saved state, on the CPU; None when there is none, or none that is whole."""
        try:
            header, content = self._path.read_bytes().split(b"\n", 1)
            intact = json.loads(header)["sha256"] == hashlib.sha256(content).hexdigest()
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            intact = False
        if not intact:
            print(f"{self._path} is damaged: the training begins anew", file=sys.stderr)
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return state

    def remove(self) -> None:
        """Deletes the file; an equal training that is still at work may save its own again."""
        self._path.unlink(missing_ok=True)

    def why_anew(self) -> str | None:
        """Which parts of the nearest other unfinished training differ from this one's; None where there is no other."""
        others = [(path, values) for path, values in self._others() if values != self._made_from]
        if not others:
            return None
        found = [(differences(self._made_from, values), path.stat().st_mtime) for path, values in others]
        parts, seconds = min(found, key=lambda other: (len(other[0]), -other[1]))
        saved = time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
        return f"the nearest unfinished training, last saved at {saved}, differs in {listed(parts)}"

    def _others(self) -> Iterator[tuple[Path, dict[str, str]]]:
        for path in sorted(self._path.parent.glob("*.state")):
            try:
                with path.open("rb") as file:
                    yield path, dict(json.loads(file.readline())["made_from"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # removed meanwhile, or damaged: nothing to compare with


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts in which two identities differ."""
    return [part for part in {**one, **other} if one.get(part) != other.get(part)]


def listed(parts: Sequence[str]) -> str:
    """Parts for a message: the first few, and how many more there are."""
    more = len(parts) - _MOST_SHOWN
    return ", ".join(parts[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
