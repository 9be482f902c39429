"""What a stage leaves for people and for git: ``results/<stage>/metrics.json`` and ``timing.json``.

Metrics are scalars only and, but for rates, the same whenever the stage is run again; the time that a stage took is
kept apart from them, so that equal runs leave equal metrics.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RESULTS = Path("results")


@contextmanager
def timed(stage: str) -> Iterator[Path]:
    """Times a stage.

    Args:
        stage: its name.

    Yields:
        ``results/<stage>/``, made when missing; on success ``timing.json`` (``seconds``) is written there.
    """
    folder = RESULTS / stage
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    yield folder
    write_json(folder / "timing.json", {"seconds": round(time.monotonic() - start, 2)})


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes metrics as JSON, keys in the order given.

    A number that is not finite has no place in JSON, so it is written as null.
    """
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(_finite(values), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
