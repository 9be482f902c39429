"""The base of every error whose text is written for the person who runs the pipeline."""

import difflib
import errno
from collections.abc import Iterable

_REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),  # full
    *(errno.EACCES, errno.EPERM, errno.EROFS),  # forbidden
    errno.EIO,
}


class PipelineError(Exception):
    """Something the user can mend; its text says what was got, what was expected, and what to do."""


def disk_refusal(error: OSError) -> str | None:
    """Says what to do about a disk that is full, read-only, forbidden or broken; None of any other error."""
    if error.errno not in _REFUSALS:
        return None
    return f"the disk refuses: {error}; free space or correct the permissions, and run again; what is finished is kept"


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the known name nearest to ``name``, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
