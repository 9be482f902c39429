"""Storing floats in fewer bits: refuse what does not fit, and measure what is lost.

The loss is measured per row and stored with the row, so that a store's figures do not depend on which of its rows were
computed in which run.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.store.errors import SpecError
from cache.store.specs import ArraySpec, Failed

LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Stored:
    """Rows as they go to disk.

    Attributes:
        rows: ``(num_rows, *shape)`` in the stored dtype, C order.
        loss: per row (cosine, largest absolute error) against what was computed; None where nothing is rounded.
    """

    rows: Array
    loss: list[tuple[float, float]] | None


def to_bfloat16(values: Array) -> Array:
    """Round float32 to bfloat16 bit patterns (uint16), to nearest, ties to even; finite input only."""
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
    return np.asarray((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype("<u2")


def from_bfloat16(bits: Array) -> Array:
    """Expand bfloat16 bit patterns (uint16) to the same values in float32."""
    return (np.asarray(bits).astype("<u4") << 16).view("<f4")


def _loss(exact: Array, stored: Array) -> tuple[float, float]:
    a, b = exact.astype(np.float64).ravel(), stored.astype(np.float64).ravel()
    norms = float(np.sqrt((a * a).sum()) * np.sqrt((b * b).sum()))
    if norms > 0:
        cosine = min(1.0, float((a * b).sum()) / norms)
    else:
        cosine = 1.0 if np.array_equal(a, b) else 0.0
    return cosine, float(np.abs(a - b).max())


def _complaint(spec: ArraySpec, computed: Array, stored: Array) -> str | None:
    for view, (exact, kept) in enumerate(zip(computed, stored, strict=True)):
        bad = int(np.size(exact) - np.count_nonzero(np.isfinite(exact)))
        if bad:
            return f"{spec.name}: {bad} of {exact.size} values of view {view} are not finite"
        if not np.isfinite(kept).all():
            largest = float(np.abs(exact.astype(np.float64)).max())
            return (
                f"{spec.name}: a value of magnitude {largest:.6g} in view {view} overflows {spec.dtype} "
                f"(largest {LARGEST[spec.dtype]:.6g})"
            )
    return None


def to_stored(spec: ArraySpec, num_rows: int, computed: Array) -> Stored | Failed:
    """Bring computed rows into the stored dtype.

    Args:
        spec: the array.
        num_rows: how many rows the unit has.
        computed: ``(num_rows, *shape)``, any float dtype for a float array, else exactly the array's dtype.

    Returns:
        The stored rows and their loss, or ``Failed`` when a value is not finite or does not fit.

    Raises:
        SpecError: wrong shape or dtype: a mistake of the caller, not of a video.
    """
    expected = (num_rows, *spec.shape)
    is_float = spec.dtype in ("float16", "bfloat16", "float32", "float64")
    kind_fits = computed.dtype.kind == "f" if is_float else computed.dtype == np.dtype(spec.dtype)
    if computed.shape != expected or not kind_fits:
        raise SpecError(
            f"{spec.name}: got {computed.dtype} {computed.shape}; expected {spec.dtype} {expected}; "
            "correct what computes it or its ArraySpec"
        )
    if not is_float:
        return Stored(np.ascontiguousarray(computed, dtype=spec.stored_dtype), None)
    with np.errstate(over="ignore", invalid="ignore"):
        if spec.dtype == "bfloat16":
            single = computed.astype(np.float32)
            rows = to_bfloat16(np.where(np.isfinite(single), single, 0))
            kept = np.where(np.isfinite(single), from_bfloat16(rows), np.inf)
        else:
            rows = kept = np.ascontiguousarray(computed, dtype=spec.stored_dtype)
    complaint = _complaint(spec, computed, kept)
    if complaint:
        return Failed(complaint)
    loss = [_loss(exact, lossy) for exact, lossy in zip(computed, kept, strict=True)] if spec.lossy else None
    return Stored(rows, loss)
