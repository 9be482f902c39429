"""One thin module per DVC stage: read its section of ``params.yaml``, call one room of ``pipeline``, write its outs."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.errors import PipelineError, told_without_traceback
from pipeline.core.files import write_json

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""Threads that wait must not burn a core that others need; set before anything loads a numerical library."""


def run_stage(main: Callable[[], None], *mendable: type[Exception]) -> None:
    """Runs a stage's ``main``; what a user can mend is printed without a traceback and ends with exit status 1.

    Args:
        main: does the stage's work.
        mendable: errors written for users beside the pipeline's own, such as the cache's.
    """
    if "transformers" in sys.modules:
        sys.modules["transformers.utils.logging"].disable_progress_bar()
    with told_without_traceback(lambda: (PipelineError, *mendable)):
        main()


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
