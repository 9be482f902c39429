"""Fingerprints: one spelling of a JSON value, its digest, and the difference of two in words.

A fingerprint is everything that shapes the values of an array, as plain JSON. Two fingerprints are equal exactly when
their canonical texts are: sorted keys, no spaces, UTF-8, and whole numbers without a decimal point (``5`` and ``5.0``
are the same setting, as they are to DVC and to JavaScript).

Ref: RFC 8785 (JSON canonicalisation), whose rules for numbers are followed for whole numbers only; other floats are
spelled as Python's ``repr``, the shortest text that reads back to the same double.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from cache.store.errors import SpecError

LARGEST_WHOLE_FLOAT = 2.0**53
ABSENT = object()


def plain(value: Any, at: str = "") -> Any:
    """Copy a JSON-like value into plain dicts, lists, strings and numbers.

    Args:
        value: nested mappings, sequences, strings, finite numbers, booleans and None.
        at: where the value stands, for the error text.

    Raises:
        SpecError: something else was found (numpy scalars included: say ``int(x)`` or ``float(x)``).
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SpecError(f"got {value!r} at {at or 'the top'}; expected a finite number; write it as text")
        return int(value) if value.is_integer() and abs(value) < LARGEST_WHOLE_FLOAT else float(value)
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise SpecError(f"got the key {wrong[0]!r} at {at or 'the top'}; expected text; write str(key)")
        return {key: plain(item, f"{at}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list | tuple):
        # A root document lists a digest of every file: texts are nearly all of the items that there are.
        return [item if type(item) is str else plain(item, f"{at}[{index}]") for index, item in enumerate(value)]
    raise SpecError(
        f"got a {type(value).__name__} at {at or 'the top'}; expected plain JSON (text, numbers, lists, mappings)"
    )


def canonical(value: Any) -> str:
    """Spell a JSON-like value in the one canonical way.

    Raises:
        SpecError: the value is not plain JSON.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of a JSON-like value's canonical text.

    Raises:
        SpecError: the value is not plain JSON, or holds text that UTF-8 cannot spell.
    """
    try:
        return hashlib.sha256(canonical(value).encode()).hexdigest()
    except UnicodeEncodeError as error:
        raise SpecError(f"got text that is not valid Unicode ({error}); expected text that UTF-8 can spell") from error


def _flat(value: Any, at: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Any]:
    if isinstance(value, dict) and value:
        return {path: leaf for key, item in value.items() for path, leaf in _flat(item, (*at, key)).items()}
    if isinstance(value, list) and value:
        return {path: leaf for index, item in enumerate(value) for path, leaf in _flat(item, (*at, index)).items()}
    return {at: value}


def _name(path: tuple[str | int, ...]) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(steps).removeprefix(".") or "value"


def _spell(value: Any) -> str:
    return "absent" if value is ABSENT else json.dumps(value, ensure_ascii=False)


def difference(stored: Any, asked: Any) -> list[str]:
    """Say field by field how two JSON-like values differ.

    Returns:
        One line per differing field, ``preprocessing.size: stored 224, asked 112``; empty when they are equal.
    """
    left, right = _flat(plain(stored)), _flat(plain(asked))
    lines = []
    for path in sorted(left.keys() | right.keys(), key=_name):
        was, wants = left.get(path, ABSENT), right.get(path, ABSENT)
        if type(was) is not type(wants) or was != wants:
            lines.append(f"{_name(path)}: stored {_spell(was)}, asked {_spell(wants)}")
    return lines
