"""Label files as bytes, and many problems raised as one."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.preparation.datasets.shared.entry import DatasetError

LARGEST_TABLE_BYTES = 1 << 30


def read_bytes(path: Path) -> bytes:
    """A whole table.

    Raises:
        DatasetError: it cannot be read, or is too large to be a table.
    """
    try:
        if path.stat().st_size > LARGEST_TABLE_BYTES:
            raise DatasetError(f"{path} has {path.stat().st_size} bytes, too many for a table of labels")
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None


def raise_all(problems: Sequence[str], shown: int = 50) -> None:
    """Raises when there are problems.

    Raises:
        DatasetError: with the first ``shown`` of them and the number of the others.
    """
    if problems:
        rest = len(problems) - shown
        raise DatasetError("\n".join([*problems[:shown], *([f"… and {rest} more"] if rest > 0 else [])]))
