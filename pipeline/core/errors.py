"""The base of every error whose text is written for the person who runs the pipeline."""

import difflib
import errno
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

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
    return f"the disk refuses: {error}; free space or correct the permissions, and run again; what is finished stays"


@contextmanager
def without_traceback(known: Callable[[], tuple[type[Exception], ...]]) -> Iterator[None]:
    """Prints an error that a user can mend, or a disk's refusal, and ends the process with status 1; others pass.

    Args:
        known: the errors written for users; called only when something went wrong, since it may import much.
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        raise  # so that the clauses below, and the imports of known(), are for errors alone
    except known() as error:
        _end_with(str(error))
    except OSError as error:
        if (refusal := disk_refusal(error)) is None:
            raise
        _end_with(refusal)


def _end_with(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)


def explained(problem: Any, skip: int = 0, where: str = "") -> str:
    """Says in one line what pydantic found wrong: where, what it got, what is allowed, and the nearest right name.

    Args:
        problem: of ``ValidationError.errors()``.
        skip: how many parts of its place the caller names itself.
        where: what comes before its place, dotted.
    """
    place = ".".join([where, *(str(part) for part in problem["loc"][skip:] if part != "[key]")]).strip(".")
    said = problem["msg"].removeprefix("Value error, ")
    got = problem["input"]
    if problem["type"] == "literal_error" and isinstance(got, str):
        said += nearest(got, re.findall(r"'([^']*)'", problem["ctx"]["expected"]))
    if isinstance(got, Mapping):
        return f"{place}: {said}"
    return f"{place}: got {got!r}; {said[0].lower()}{said[1:]}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the known name nearest to ``name``, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
