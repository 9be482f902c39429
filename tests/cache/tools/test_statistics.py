"""Statistics agree with numpy's in float64, whatever the stored dtype."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cache.store import RowError, open_store
from cache.tools.statistics import statistics
from tests.cache.toy import CLIP, EMBEDDING, Teacher, build, units


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("chunk_rows", [3, 16384])
def test_statistics_per_dimension_leave_failed_rows_out(
    tmp_path: Path, dtype: str, chunk_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.store.layout.CHUNK_ROWS", chunk_rows)
    specs = (replace(EMBEDDING, dtype=dtype),)
    large = Teacher(specs, broken={"source0001": "x"}, change=lambda name, of, rows: rows * 20000 + 1)
    build(tmp_path / "s", units(6), specs=specs, teacher=large, max_failed=2)
    store = open_store(tmp_path / "s")
    rows = store.read("embedding", np.flatnonzero(store.status == 1)).astype(np.float64)
    told = statistics(store, "embedding")
    np.testing.assert_allclose(told.mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(told.std, rows.std(0), rtol=1e-9)
    np.testing.assert_array_equal(told.smallest, rows.min(0))
    np.testing.assert_array_equal(told.largest, rows.max(0))
    assert told.rows == len(rows)


def test_statistics_of_clips_are_per_channel(tmp_path: Path) -> None:
    build(tmp_path / "s", units(2))
    store = open_store(tmp_path / "s")
    told = statistics(store, "clip", scheduler="threads")
    values = store.read("clip", range(4)).astype(np.float64)
    np.testing.assert_allclose(told.mean, values.mean((0, 1, 2, 3)))
    np.testing.assert_allclose(told.zeros, (values == 0).mean((0, 1, 2, 3)))
    assert told.as_dict()["mean"] == told.mean.tolist()
    assert told.mean.shape == CLIP.shape[-1:]


def test_nothing_to_measure_is_an_error(tmp_path: Path) -> None:
    build(tmp_path / "s", units(1), teacher=Teacher(broken={"source0000": "x"}), max_failed=1)
    with pytest.raises(RowError, match="no row is ok"):
        statistics(open_store(tmp_path / "s"), "clip")
    with pytest.raises(RowError, match="it has|has embedding"):
        statistics(open_store(tmp_path / "s"), "tokens")
