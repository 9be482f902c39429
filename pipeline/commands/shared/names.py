"""How a file's name is written where a line is a row."""

import os
from pathlib import Path


def written(path: Path) -> str:
    """The path as one line of UTF-8; line breaks in it, and bytes that are no UTF-8, are spelled out as in Python.

    Args:
        path: any; what was written already stays as it is.
    """
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode()
    spelled = (part.encode("unicode_escape").decode() if part.splitlines() != [part] else part for part in text)
    return "".join(spelled)
