"""Damage as hypothesis draws it: bytes changed, left out and put in; values of a JSON document replaced."""

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

BOUNDED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""The same examples on every machine, few enough for the fast tests."""
_PIECES = st.one_of(
    st.binary(max_size=6),
    st.text(max_size=4).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b",", b"\n", b'"', b"\0", b"{", b"[", b": ", b"nan", b"1e999", b"-1", b"9" * 30, b"\xff", b".."]),
)
_EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), _PIECES), min_size=1, max_size=4)
_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 70), 1 << 70),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.sampled_from([0, 1, -1, 2**40, 2**62, "../x", "uint8", "\0", []]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def edited(whole: bytes) -> st.SearchStrategy[bytes]:
    """``whole`` with a few stretches replaced by other bytes."""

    def apply(edits: list[tuple[float, int, bytes]]) -> bytes:
        data = whole
        for share, length, piece in edits:
            at = int(share * len(data))
            data = data[:at] + piece + data[at + length :]
        return data

    return _EDITS.map(apply)


def rewritten(document: Any) -> st.SearchStrategy[bytes]:
    """A JSON document with one value, at any depth, replaced or taken away."""
    places = list(_places(document))

    def apply(drawn: tuple[tuple[Any, ...], Any, bool]) -> bytes:
        place, value, gone = drawn
        changed = json.loads(json.dumps(document))
        parent = changed
        for key in place[:-1]:
            parent = parent[key]
        if gone:
            del parent[place[-1]]
        else:
            parent[place[-1]] = value
        return json.dumps(changed).encode()

    return st.tuples(st.sampled_from(places), _VALUES, st.booleans()).map(apply)


def _places(document: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found = []
    for key, value in items:
        found += [(*prefix, key), *_places(value, (*prefix, key))]
    return found
