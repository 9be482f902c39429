"""One thin module per DVC stage: read its section of ``params.yaml``, call one room of ``pipeline``, write its outs."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

if _lacking := [name for name in ("av", "pydantic", "safetensors", "torch", "zarr") if find_spec(name) is None]:
    sys.exit(
        f"{sys.executable} is not the project's Python: it lacks {', '.join(_lacking)}; "
        "activate the environment that make has made (. .venv/bin/activate) and run the command again"
    )
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""Threads that wait must not burn a core that others need; set before anything loads a numerical library."""

from pipeline.core.errors import PipelineError, without_traceback  # noqa: E402 - what it needs is looked for first
from pipeline.core.files import write_json  # noqa: E402

RESULTS = Path("results")


def run_stage(main: Callable[[], None], *mendable: type[Exception]) -> None:
    """Runs a stage's ``main``; what a user can mend is printed without a traceback and ends with exit status 1.

    Args:
        main: does the stage's work.
        mendable: errors written for users beside the pipeline's own, such as the cache's.
    """
    if "transformers" in sys.modules:
        sys.modules["transformers.utils.logging"].disable_progress_bar()
    with without_traceback(lambda: (PipelineError, *mendable)):
        main()


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
