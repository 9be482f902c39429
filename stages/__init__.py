"""One thin module per DVC stage: read its section of ``params.yaml``, call one room of ``pipeline``, write its outs."""

import os
import sys
from collections.abc import Callable

from pipeline.errors import PipelineError, told_without_traceback

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
