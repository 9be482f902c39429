"""Random numbers that depend on their key alone: never on order, process, or global state."""

import hashlib

import numpy as np


def generator(*key: str | int) -> np.random.Generator:
    """A counter-based generator for ``key``.

    Args:
        *key: names and numbers that identify what is drawn, such as ``("source", 7, "leaves", 12)``.

    Returns:
        A Philox generator; equal keys give equal streams on every platform with the same numpy.
    """
    digest = hashlib.sha256(repr(key).encode("utf-8")).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8")))
