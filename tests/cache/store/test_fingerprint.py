"""Fingerprints have one spelling, and their difference is told field by field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.store import SpecError, canonical, difference, digest

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aé字 ", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_order_of_keys_and_kind_of_sequence_do_not_matter() -> None:
    assert digest({"a": (1, 2), "b": {"c": 1}}) == digest({"b": {"c": 1}, "a": [1, 2]})


def test_a_whole_float_is_the_whole_number() -> None:
    assert canonical({"lr": 5.0}) == canonical({"lr": 5}) == '{"lr":5}'


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), (None, 0), ("1", 1), ([], {}), (0.1, 0.2), ([1], [[1]])]
)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert digest({"x": one}) != digest({"x": other})
    assert difference({"x": one}, {"x": other})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: "a"}, {"a": object()}, {"a": {1, 2}}, b"x"])
def test_what_is_not_plain_json_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="expected"):
        digest(value)


def test_difference_names_every_field() -> None:
    stored = {"size": 224, "mean": [0.5, 0.5], "weights": "abc", "old": 1}
    asked = {"size": 112, "mean": [0.5, 0.25], "weights": "abc", "new": {"deep": None}}
    assert difference(stored, asked) == [
        "mean[1]: stored 0.5, asked 0.25",
        "new.deep: stored absent, asked null",
        "old: stored 1, asked absent",
        "size: stored 224, asked 112",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a.b": 1}, {"a": {"b": 1}}), ({"": None}, None), ({"a": {}}, {"a": []}), ({"a[0]": 1}, {"a": [1]})],
)
def test_fields_that_are_spelled_alike_are_still_different(one: object, other: object) -> None:
    assert difference(one, other)


@given(PLAIN)
def test_canonical_text_reads_back_to_itself(value: object) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text
    assert difference(value, json.loads(text)) == []


@given(PLAIN, PLAIN)
def test_difference_is_empty_exactly_when_digests_agree(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (difference(one, other) == [])
