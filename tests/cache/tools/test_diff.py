"""Two stores are compared by what they say of their rows."""

from dataclasses import replace
from pathlib import Path

from cache.store import open_store
from cache.tools.diff import diff
from tests.cache.toy import CLIP, EMBEDDING, LOGITS, Teacher, build, unit, units


def lines(tmp_path: Path) -> list[str]:
    return [str(difference) for difference in diff(open_store(tmp_path / "a"), open_store(tmp_path / "b"))]


def test_equal_stores_do_not_differ(tmp_path: Path) -> None:
    build(tmp_path / "a", units(3))
    build(tmp_path / "b", units(3))
    assert lines(tmp_path) == []


def test_what_differs_is_named_with_the_reason(tmp_path: Path) -> None:
    build(tmp_path / "a", units(4), teacher=Teacher(broken={"source0002": "short"}), max_failed=1)
    changed = replace(EMBEDDING, fingerprint=EMBEDDING.fingerprint | {"size": 224})
    after = [unit(0), unit(1, "other"), unit(2), unit(9)]
    build(tmp_path / "b", after, specs=(changed, CLIP, LOGITS))
    told = lines(tmp_path)
    assert "embedding: fingerprint.size: A has 112, B has 224" in told
    assert "logits: only in B" in told
    assert "video0003: only in A" in told
    assert "video0009: only in B" in told
    assert "video0001: the video file differs; what it was computed from differs" in told
    assert "clip video0001 view 0, 1: values differ: the video file differs; what it was computed from differs" in told
    assert "embedding video0000 view 0, 1: values differ: the fingerprints differ" in told
    assert "video0002 view 0, 1: A is failed (short), B is ok" in told
    assert not any(line.startswith("clip video0000") for line in told)


def test_values_that_differ_without_a_reason_say_so(tmp_path: Path) -> None:
    build(tmp_path / "a", units(2))
    nudge = Teacher(change=lambda name, of, rows: rows + (name == "embedding") * (of.video_id == "video0001"))
    build(tmp_path / "b", units(2), teacher=Teacher(change=lambda n, of, r: nudge.change(n, of, r).astype(r.dtype)))
    assert lines(tmp_path) == [
        "embedding video0001 view 0, 1: values differ: though video, source and fingerprint are the same"
    ]


def test_a_difference_is_plain_json(tmp_path: Path) -> None:
    build(tmp_path / "a", units(1))
    build(tmp_path / "b", [replace(unit(0), num_rows=3)], columns=("decoder",))
    told = [difference.as_dict() for difference in diff(open_store(tmp_path / "a"), open_store(tmp_path / "b"))]
    assert {"what": "views per video: A has 2, B has 3", "array": "", "video": "", "views": []} in told
    assert {"what": "column only in A", "array": "clip_view", "video": "", "views": []} in told
