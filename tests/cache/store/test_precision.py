"""What does not fit is refused; what is lost is measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cache.store import ArraySpec, SpecError, TooManyFailed, Unit, open_store
from cache.store.precision import from_bfloat16, to_bfloat16, to_stored
from cache.store.specs import Failed
from tests.cache.toy import EMBEDDING, Teacher, build, units, values

SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def spoil(value: float) -> Any:
    def change(name: str, of: Unit, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if of.video_id == "video0001" and name == "embedding":
            rows = rows.copy()
            rows[1, 3] = value
        return rows

    return change


@pytest.mark.parametrize(
    ("dtype", "value", "word"),
    [
        ("float16", np.nan, "1 of 24 values of view 1 are not finite"),
        ("float16", np.inf, "not finite"),
        ("float16", 65520.0, "65520 in view 1 overflows float16"),
        ("float16", -1e9, "overflows float16"),
        ("bfloat16", np.nan, "not finite"),
        ("bfloat16", 3.4e38, "overflows bfloat16"),
        ("float32", -np.inf, "not finite"),
    ],
)
def test_a_value_that_does_not_fit_makes_a_failed_row_with_its_reason(
    tmp_path: Path, dtype: str, value: float, word: str
) -> None:
    specs = [replace(EMBEDDING, dtype=dtype)]
    report = build(tmp_path / "s", units(3), specs=specs, teacher=Teacher(specs, change=spoil(value)), max_failed=1)
    store = open_store(tmp_path / "s")
    assert word in report.failures["video0001"]
    assert store.reasons[2:4] == [report.failures["video0001"]] * 2
    assert store.status.tolist() == [1, 1, 2, 2, 1, 1]
    assert store.verify() == []


def test_the_largest_value_still_fits(tmp_path: Path) -> None:
    specs = [EMBEDDING]
    build(tmp_path / "s", units(2), specs=specs, teacher=Teacher(specs, change=spoil(65519.0)))
    assert open_store(tmp_path / "s").read("embedding", [3])[0, 3] == 65504


def test_float32_rows_that_overflow_from_float64_are_refused() -> None:
    spec = replace(EMBEDDING, dtype="float32", shape=(1,))
    assert isinstance(to_stored(spec, 1, np.array([[1e300]])), Failed)


@pytest.mark.parametrize("rows", [np.zeros((2, 23), np.float32), np.zeros((3, 24), np.float32), np.zeros((2, 24), int)])
def test_a_wrong_shape_or_dtype_is_the_callers_mistake(rows: np.ndarray[Any, Any]) -> None:
    with pytest.raises(SpecError, match="got .* expected float16 \\(2, 24\\)"):
        to_stored(EMBEDDING, 2, rows)


def test_whole_numbers_are_never_cast() -> None:
    spec = ArraySpec("clip", "uint8", (2,), ("x",), {})
    with pytest.raises(SpecError, match="expected uint8"):
        to_stored(spec, 1, np.array([[1, 2]], np.int64))


@given(st.lists(SINGLE, min_size=1, max_size=20))
def test_bfloat16_rounds_as_torch_does(numbers: list[float]) -> None:
    exact = np.array(numbers, np.float32)
    theirs = torch.from_numpy(exact.copy()).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(to_bfloat16(exact), theirs)
    back = torch.from_numpy(theirs.view(np.int16)).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(from_bfloat16(theirs), back)


@pytest.mark.parametrize(("dtype", "relative"), [("float16", 2**-11), ("bfloat16", 2**-8), ("float32", 0)])
def test_a_row_read_equals_what_was_computed_within_the_stored_precision(
    tmp_path: Path, dtype: str, relative: float
) -> None:
    specs = [replace(EMBEDDING, dtype=dtype)]
    build(tmp_path / "s", units(4), specs=specs)
    store = open_store(tmp_path / "s")
    computed = np.concatenate([values(specs[0], unit) for unit in units(4)])
    np.testing.assert_allclose(store.read("embedding", np.arange(8)), computed, rtol=relative, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_loss_of_precision_is_measured_against_float32(tmp_path: Path, dtype: str) -> None:
    specs = [replace(EMBEDDING, dtype=dtype)]
    build(tmp_path / "s", units(4), specs=specs)
    store = open_store(tmp_path / "s")
    exact = np.concatenate([values(specs[0], unit) for unit in units(4)]).astype(np.float64)
    kept = store.read("embedding", np.arange(8)).astype(np.float64)
    cosines = (exact * kept).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(kept, axis=1)
    told = store.root.losses["embedding"]
    assert told["rows"] == 8
    assert told["max_abs_error"] == np.abs(exact - kept).max() > 0
    assert told["min_cosine"] == pytest.approx(cosines.min(), abs=1e-12)
    assert told["mean_cosine"] == pytest.approx(cosines.mean(), abs=1e-12)


def test_failed_rows_are_not_in_the_loss_and_all_failed_has_none(tmp_path: Path) -> None:
    specs = [EMBEDDING]
    broken = Teacher(specs, broken={unit.source: "broken" for unit in units(2)})
    build(tmp_path / "s", units(2), specs=specs, teacher=broken, max_failed=2)
    assert open_store(tmp_path / "s").root.losses["embedding"] == {
        "rows": 0,
        "mean_cosine": None,
        "min_cosine": None,
        "max_abs_error": None,
    }
    with pytest.raises(TooManyFailed, match="2 video\\(s\\) failed, 1 allowed"):
        build(tmp_path / "s", units(2), specs=specs, teacher=broken, max_failed=1)
