"""Building: work in proportion to the change, and the same bytes whatever the history."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.build import Pool, build_store
from cache.store import ArraySpec, Rows, TooManyFailed, Unit, open_store
from tests.cache.toy import CLIP, COLUMNS, EMBEDDING, LOGITS, SPECS, Teacher, build, damage, tree, unit, units


@pytest.fixture
def fresh(tmp_path: Path) -> Any:
    def reference(of: list[Unit], specs: tuple[ArraySpec, ...] = SPECS) -> dict[str, str]:
        path = tmp_path / "fresh" / "store.zarr"
        build(path, of, specs=specs, pool=Pool(tmp_path / f"fresh_pool{len(list(tmp_path.iterdir()))}"))
        return tree(path)

    return reference


def counts(report: Any) -> tuple[int, int, int]:
    return report.computed, report.reused, report.adopted


@pytest.mark.parametrize("change", ["added first", "added last", "removed", "replaced", "moved", "duplicated"])
def test_one_change_computes_one_video_and_gives_the_bytes_of_a_fresh_store(
    tmp_path: Path, pool: Pool, fresh: Any, change: str
) -> None:
    base = units(6)[1:]
    after, computed = {
        "added first": ([unit(0), *base], ["video0000"]),
        "added last": ([*base, unit(6)], ["video0006"]),
        "removed": (base[:2] + base[3:], []),
        "replaced": ([*base[:2], unit(3, "another"), *base[3:]], ["video0003"]),
        "moved": ([*base[1:], unit(9, base[0].source)], []),
        "duplicated": ([*base, unit(9, base[0].source)], []),
    }[change]
    path = tmp_path / "s.zarr"
    build(path, base, pool=pool)
    teacher = Teacher()
    report = build(path, after, teacher=teacher, pool=pool)
    assert teacher.videos == computed
    assert report.computed == 2 * len(computed)
    assert report.rows == 2 * len(after) == sum(counts(report))
    assert tree(path) == fresh(after)
    assert open_store(path).verify() == []


def test_returning_to_an_old_version_computes_nothing(tmp_path: Path, pool: Pool) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(4), pool=pool)
    first = tree(path)
    build(path, units(6), pool=pool)
    assert counts(build(path, units(4), pool=pool)) == (0, 8, 0)
    assert tree(path) == first


def test_the_order_of_the_input_does_not_matter(tmp_path: Path, fresh: Any) -> None:
    build(tmp_path / "s.zarr", units(5)[::-1])
    assert tree(tmp_path / "s.zarr") == fresh(units(5))
    assert open_store(tmp_path / "s.zarr").video_ids[::2] == [f"video{n:04d}" for n in range(5)]


def test_results_may_come_in_any_order(tmp_path: Path, fresh: Any) -> None:
    teacher = Teacher()
    build_store(
        tmp_path / "s.zarr",
        kind="toy",
        specs=SPECS,
        units=units(5),
        columns=COLUMNS,
        compute=lambda jobs: iter(list(teacher(jobs))[::-1]),
        pool=None,
    )
    assert tree(tmp_path / "s.zarr") == fresh(units(5))


def test_without_a_pool_rows_are_adopted_from_the_store_that_is_replaced(tmp_path: Path, fresh: Any) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(4))
    report = build(path, units(5))
    assert counts(report) == (2, 0, 8)
    assert tree(path) == fresh(units(5))


def test_a_second_clone_adopts_from_the_last_store_and_computes_one_video(tmp_path: Path, fresh: Any) -> None:
    build(tmp_path / "old.zarr", units(4), pool=Pool(tmp_path / "their pool"))
    teacher = Teacher()
    pool = Pool(tmp_path / "my pool")
    report = build(tmp_path / "new.zarr", units(5), teacher=teacher, pool=pool, adopt=[tmp_path / "old.zarr"])
    assert teacher.videos == ["video0004"]
    assert counts(report) == (2, 0, 8)
    assert tree(tmp_path / "new.zarr") == fresh(units(5))
    # What was adopted is in the pool now.
    assert counts(build(tmp_path / "third.zarr", units(5), pool=pool)) == (0, 10, 0)


def test_adoption_takes_an_open_store_or_a_function_that_finds_some(tmp_path: Path) -> None:
    build(tmp_path / "old.zarr", units(3))
    old = open_store(tmp_path / "old.zarr")
    assert counts(build(tmp_path / "a.zarr", units(3), adopt=[old])) == (0, 0, 6)
    assert counts(build(tmp_path / "b.zarr", units(3), adopt=[lambda: [old]])) == (0, 0, 6)
    assert counts(build(tmp_path / "c.zarr", units(3), adopt=[tmp_path / "nowhere"])) == (6, 0, 0)


@pytest.mark.parametrize("name", ["clip/c.1.0.0.0.0", "embedding/c/0/0", "source_digest/c/0", "zarr.json"])
def test_damage_in_an_older_store_is_not_adopted(tmp_path: Path, fresh: Any, name: str) -> None:
    old = tmp_path / "old.zarr"
    build(old, units(3))
    damage(old / name, "flip")
    report = build(tmp_path / "new.zarr", units(3), adopt=[old])
    assert report.computed > 0
    assert tree(tmp_path / "new.zarr") == fresh(units(3))


def test_damage_to_a_linked_file_is_noticed_and_not_spread(tmp_path: Path, pool: Pool, fresh: Any) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(3), pool=pool)
    chunk = path / "clip/c.1.0.0.0.0"
    chunk.chmod(0o644)
    with chunk.open("r+b") as file:
        file.write(b"damage")
    teacher = Teacher()
    build(path, units(4), teacher=teacher, pool=pool)
    assert teacher.videos == ["video0001", "video0003"]
    assert [job.arrays for job in teacher.asked] == [("clip",), ("embedding", "clip")]
    assert tree(path) == fresh(units(4))


@pytest.mark.parametrize("suffix", ["rows", "json"])
@pytest.mark.parametrize("how", ["flip", "truncate", "empty", "missing", "rubbish"])
def test_damage_in_the_pool_is_noticed_and_computed_again(
    tmp_path: Path, pool: Pool, fresh: Any, suffix: str, how: str
) -> None:
    build(tmp_path / "s.zarr", units(3), specs=(EMBEDDING,), pool=pool)
    reference = tree(tmp_path / "s.zarr")
    damage(pool.paths(EMBEDDING, unit(1))[suffix == "json"], how)
    teacher = Teacher()
    build(tmp_path / "t.zarr", units(3), specs=(EMBEDDING,), teacher=teacher, pool=pool)
    assert teacher.videos == ["video0001"]
    assert tree(tmp_path / "t.zarr") == reference


def test_adding_a_kind_computes_that_kind_alone_and_leaves_the_others_files(tmp_path: Path, pool: Pool) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(4), pool=pool)
    before = tree(path)
    specs = (EMBEDDING, CLIP, LOGITS)
    teacher = Teacher(specs)
    report = build(path, units(4), specs=specs, teacher=teacher, pool=pool)
    after = tree(path)
    assert {job.arrays for job in teacher.asked} == {("logits",)}
    assert report.computed == 8
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"zarr.json"}
    build(tmp_path / "at_once.zarr", units(4), specs=specs)
    assert tree(tmp_path / "at_once.zarr") == after


@pytest.mark.parametrize(
    "changed",
    [
        replace(EMBEDDING, fingerprint=EMBEDDING.fingerprint | {"weights": "def"}),
        replace(EMBEDDING, fingerprint=EMBEDDING.fingerprint | {"new": None}),
        replace(EMBEDDING, fingerprint={"kind": "embedding", "weights": "abc"}),
        replace(EMBEDDING, dtype="float32"),
        replace(EMBEDDING, dtype="bfloat16"),
        replace(EMBEDDING, shape=(12, 2), dims=("a", "b")),
        replace(EMBEDDING, dims=("feature",)),
        replace(EMBEDDING, name="embedding_normed"),
    ],
)
def test_anything_in_an_arrays_identity_recomputes_that_array_and_no_other(
    tmp_path: Path, pool: Pool, changed: ArraySpec
) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(3), pool=pool)
    teacher = Teacher((changed, CLIP))
    build(path, units(3), specs=(changed, CLIP), teacher=teacher, pool=pool)
    assert [job.arrays for job in teacher.asked] == [(changed.name,)] * 3


def test_another_source_or_number_of_views_recomputes_and_another_name_or_video_digest_does_not(
    tmp_path: Path, pool: Pool
) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(2), pool=pool)
    same = [replace(unit, video_id=f"renamed{unit.video_id}", video_digest="reencoded") for unit in units(2)]
    assert build(path, same, pool=pool).computed == 0
    assert open_store(path).video_digests == ["reencoded"] * 4
    assert build(path, [replace(unit, source=unit.source + "'") for unit in units(2)], pool=pool).computed == 4
    assert build(path, [replace(unit, num_rows=3) for unit in units(2)], pool=pool).computed == 6


def test_two_videos_with_one_source_are_computed_once(tmp_path: Path) -> None:
    teacher = Teacher()
    report = build(tmp_path / "s.zarr", [unit(0), unit(1, "source0000"), unit(2)], teacher=teacher)
    assert teacher.videos == ["video0000", "video0002"]
    assert counts(report) == (4, 2, 0)
    store = open_store(tmp_path / "s.zarr")
    assert store.row_digests("clip")[:2] == store.row_digests("clip")[2:4]
    assert store.verify() == []


def test_failed_videos_are_told_and_the_others_are_finished(tmp_path: Path, pool: Pool) -> None:
    path = tmp_path / "s.zarr"
    teacher = Teacher(broken={"source0001": "shorter than its view"})
    with pytest.raises(TooManyFailed, match="video0001: shorter than its view") as caught:
        build(path, units(4), teacher=teacher, pool=pool)
    assert caught.value.report.failures == {"video0001": "shorter than its view"}
    assert not path.exists()
    repaired = Teacher()
    assert build(path, units(4), teacher=repaired, pool=pool).reused == 6
    assert repaired.videos == ["video0001"]


def test_a_failed_video_is_tried_again_and_leaves_no_trace_when_it_succeeds(tmp_path: Path, fresh: Any) -> None:
    path = tmp_path / "s.zarr"
    broken = Teacher(broken={"source0001": "bad"})
    report = build(path, units(3), teacher=broken, max_failed=1)
    assert (report.failed, report.computed) == (2, 4)
    assert not (path / "clip/c.1.0.0.0.0").exists()
    build(path, units(3))
    assert tree(path) == fresh(units(3))


def test_too_many_failures_leave_the_old_store_standing(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(2))
    before = tree(path)
    with pytest.raises(TooManyFailed, match="1 video.s. failed, 0 allowed.*(?s:.*)or raise max_failed; the next run"):
        build(path, units(3), teacher=Teacher(broken={"source0002": "bad"}))
    assert tree(path) == before
    assert [child.name for child in tmp_path.iterdir()] == ["s.zarr"]


def test_a_reason_that_is_not_text_is_made_readable(tmp_path: Path) -> None:
    teacher = Teacher(broken={"source0000": "cannot open b\udcff\0.mp4", "source0001": ""})
    build(tmp_path / "s.zarr", units(2), teacher=teacher, max_failed=2)
    assert open_store(tmp_path / "s.zarr").reasons[::2] == ["cannot open b\\udcff\\x00.mp4", "no reason given"]


def test_nothing_of_time_host_or_place_is_in_a_store(
    tmp_path: Path, fresh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = fresh(units(3))
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    monkeypatch.setattr("time.time", lambda: 12345.0)
    monkeypatch.chdir(tmp_path)
    build(Path("deeper/other.zarr"), units(3), pool=Pool("p"))
    assert tree(tmp_path / "deeper/other.zarr") == reference


def test_large_rows_are_linked_and_small_ones_are_not(tmp_path: Path, pool: Pool) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(3), pool=pool)
    chunk, _ = pool.paths(CLIP, unit(1))
    assert os.stat(path / "clip/c.1.0.0.0.0").st_ino == chunk.stat().st_ino
    inodes = {os.stat(file).st_ino for file in path.rglob("*") if file.is_file()}
    inodes |= {os.stat(file).st_ino for file in pool.root.rglob("*.rows")}
    stored = sum(1 for _ in path.glob("clip/c.*.0.0.0.0"))
    assert stored == 3
    assert len(inodes) == len([f for f in path.rglob("*") if f.is_file()]) + 3  # only the embeddings' pool files more


def test_a_disk_without_links_gets_copies(tmp_path: Path, fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def refuse(source: Any, target: Any, **more: Any) -> None:
        if "zarr.json" not in str(target):  # zarr-python makes these with a link of its own
            raise PermissionError("no links here")
        link(source, target, **more)

    monkeypatch.setattr(os, "link", refuse)
    build(tmp_path / "s.zarr", units(2), pool=Pool(tmp_path / "p"))
    assert build(tmp_path / "t.zarr", units(2), adopt=[tmp_path / "s.zarr"]).adopted == 4
    monkeypatch.undo()
    assert tree(tmp_path / "s.zarr") == tree(tmp_path / "t.zarr") == fresh(units(2))


def test_many_small_rows_fill_several_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.store.layout.CHUNK_ROWS", 5)
    path = tmp_path / "s.zarr"
    build(path, units(7))
    store = open_store(path)
    chunks = [path / f"embedding/c/{chunk}/0" for chunk in range(3)]
    assert [chunk.stat().st_size for chunk in chunks] == [5 * 48 + 4] * 3
    assert store.verify() == []
    whole = store.read("embedding", np.arange(14))
    monkeypatch.undo()
    build(tmp_path / "t.zarr", units(7))
    np.testing.assert_array_equal(whole, open_store(tmp_path / "t.zarr").read("embedding", np.arange(14)))


def test_columns_follow_the_array_they_belong_to(tmp_path: Path, pool: Pool) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(2), pool=pool)
    changed = replace(CLIP, fingerprint={"policy": "fragments"})

    def compute(jobs: Any) -> Any:
        for job in jobs:
            rows = {name: Teacher((EMBEDDING, changed)) for name in job.arrays}
            ((_, told),) = rows["clip"]([job])
            yield job, Rows(told.arrays, {"decoder": ["toy 2.0"] * 2, "clip_view": ["new"] * 2})

    build_store(
        path, kind="toy", specs=(EMBEDDING, changed), units=units(2), columns=COLUMNS, compute=compute, pool=pool
    )
    store = open_store(path)
    assert store.column("clip_view") == ["new"] * 4
    assert store.column("decoder") == ["toy 1.0"] * 4  # the row's, which came with the first array
    build(tmp_path / "adopted.zarr", units(2), specs=(EMBEDDING, changed), adopt=[path])
    assert tree(tmp_path / "adopted.zarr") == tree(path)


def test_rows_that_finished_before_a_crash_are_kept(tmp_path: Path, pool: Pool) -> None:
    def compute(jobs: Any) -> Any:
        yield from Teacher()(list(jobs)[:2])
        raise RuntimeError("the teacher crashed")

    with pytest.raises(RuntimeError, match="crashed"):
        build_store(
            tmp_path / "s", kind="toy", specs=SPECS, units=units(4), columns=COLUMNS, compute=compute, pool=pool
        )
    teacher = Teacher()
    build(tmp_path / "s", units(4), teacher=teacher, pool=pool)
    assert teacher.videos == ["video0002", "video0003"]


def test_memory_stays_bounded_while_building_and_reading(tmp_path: Path) -> None:
    import tracemalloc

    large = replace(CLIP, shape=(8, 256, 256, 3))
    of = units(40)  # 40 videos x 2 views x 1.5 MiB = 126 MB
    pool = Pool(tmp_path / "pool")
    tracemalloc.start()
    try:
        build(tmp_path / "s.zarr", of, specs=(large,), pool=pool, columns=COLUMNS)
        store = open_store(tmp_path / "s.zarr", ram_bytes=1 << 20)
        for row in range(len(store)):
            store.read("clip", [row])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2 * large.row_bytes
