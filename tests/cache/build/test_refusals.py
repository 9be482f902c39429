"""What a store cannot hold is refused before any work, and an answer that does not fit before it is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cache.build import build_store
from cache.store import Rows, SpecError, StoreError
from tests.cache.toy import CLIP, COLUMNS, EMBEDDING, LOGITS, SPECS, Teacher, build, unit, units


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"units": []}, "no videos"),
        ({"units": [unit(0), unit(0, "other")]}, "twice"),
        ({"units": [unit(0), unit(1, views=3)]}, "same number"),
        ({"specs": []}, "at least one array"),
        ({"specs": [EMBEDDING, EMBEDDING]}, "every name once"),
        ({"specs": [EMBEDDING, replace(LOGITS, dims=("channel",))]}, "logits_channel"),
        ({"columns": ("decoder", "status")}, "the store itself uses"),
        ({"columns": ("../x",)}, "rename"),
        ({"metadata": {"a": object()}}, "plain JSON"),
        ({"specs": [replace(CLIP, shape=(4096, 4096, 4096, 4096))]}, "bytes per video"),
    ],
)
def test_what_a_store_cannot_hold_is_refused_before_work(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    asked: dict[str, Any] = {"units": units(2), "specs": SPECS, "columns": (), "metadata": {}} | change
    teacher = Teacher()
    with pytest.raises(SpecError, match=word):
        build_store(tmp_path / "s", kind="toy", compute=teacher, pool=None, **asked)
    assert teacher.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Embedding"},
        {"name": "../x"},
        {"name": "video_id"},
        {"name": "x_sha256"},
        {"dtype": "complex64"},
        {"shape": (0,)},
        {"shape": (-1,)},
        {"dims": ("a", "b")},
        {"dims": ("row",)},
        {"fingerprint": {"x": float("nan")}},
    ],
)
def test_an_impossible_array_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="expected|uses it"):
        replace(EMBEDDING, **wrong)


@pytest.mark.parametrize("wrong", [{"video_id": ""}, {"video_id": "a\0"}, {"source": "\udcff"}, {"num_rows": 0}])
def test_an_impossible_unit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="got"):
        replace(unit(0), **wrong)


def _answers(what: str) -> Any:
    def compute(jobs: Any) -> Any:
        jobs = list(jobs)
        pairs = list(Teacher()(jobs))
        job, rows = pairs[0]
        if what == "none":
            return iter(pairs[1:])
        if what == "twice":
            return iter([*pairs, pairs[0]])
        if what == "array too few":
            return iter([(job, Rows({"clip": rows.arrays["clip"]}, rows.columns))])
        if what == "column too few":
            return iter([(job, Rows(rows.arrays, {"decoder": ["x", "y"]}))])
        if what == "column too many":
            return iter([(job, Rows(rows.arrays, rows.columns | {"more": ["x", "y"]}))])
        return iter([(job, Rows(rows.arrays, rows.columns | {"decoder": ["x"]}))])

    return compute


@pytest.mark.parametrize(
    "what", ["none", "twice", "array too few", "column too few", "column too many", "text too few"]
)
def test_an_answer_that_does_not_fit_is_an_error(tmp_path: Path, what: str) -> None:
    with pytest.raises(SpecError, match="got|texts"):
        build_store(
            tmp_path / "s", kind="toy", specs=SPECS, units=units(2), columns=COLUMNS, compute=_answers(what), pool=None
        )
    assert list(tmp_path.iterdir()) == []


def test_the_computation_is_closed_when_the_build_ends_early(tmp_path: Path) -> None:
    closed = []

    def compute(jobs: Any) -> Any:
        try:
            for job in jobs:
                yield job, Rows({}, {})
        finally:
            closed.append(True)

    with pytest.raises(SpecError):
        build_store(tmp_path / "s", kind="toy", specs=SPECS, units=units(2), compute=compute, pool=None)
    assert closed == [True]


def test_what_is_not_a_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("precious", "file"):
        with pytest.raises(StoreError, match="do: move it away"):
            build(tmp_path / name, units(1))
    assert (tmp_path / "precious/thesis.txt").read_text() == "x"
