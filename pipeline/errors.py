"""The base of every error whose text is written for the person who runs the pipeline."""

import difflib
from collections.abc import Iterable


class PipelineError(Exception):
    """Something the user can mend; its text says what was got, what was expected, and what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the known name nearest to ``name``, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
