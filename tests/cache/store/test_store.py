"""Opening and reading a store."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.store import FingerprintMismatchError, FormatVersionError, RowError, Store, StoreError, digest, open_store
from cache.store.layout import root_text
from tests.cache.toy import CLIP, EMBEDDING, Teacher, build, damage, units, values

OK_ROWS = np.array([0, 1, 2, 3, 4, 5, 8, 9, 10, 11])


@pytest.mark.parametrize("ram_bytes", [1 << 30, 0])
@pytest.mark.parametrize("name", ["embedding", "clip"])
@pytest.mark.parametrize("rows", [[0], [11, 0, 11, 3], [], OK_ROWS, OK_ROWS[::-1].astype(np.uint16), (5, 4)])
def test_rows_come_in_the_order_asked_for_from_ram_and_from_disk(
    sound: Path, name: str, rows: Any, ram_bytes: int
) -> None:
    store = open_store(sound, ram_bytes=ram_bytes)
    spec = {"embedding": EMBEDDING, "clip": CLIP}[name]
    whole = np.concatenate([values(spec, unit) for unit in units(6)]).astype(spec.dtype)
    for _ in range(2):  # the first reading checks the chunk, the second reads rows directly
        got = store.read(name, rows)
        assert got.dtype == spec.dtype
        np.testing.assert_array_equal(got, whole[np.asarray(rows, int)])


def test_a_store_says_what_its_rows_are(sound: Path) -> None:
    store = open_store(sound)
    assert len(store) == 12
    assert store.video_ids == [f"video{n:04d}" for n in range(6) for _ in range(2)]
    assert store.views == [0, 1] * 6
    assert store.status.tolist() == [1] * 6 + [2, 2] + [1] * 4
    assert store.reasons == [""] * 6 + ["broken"] * 2 + [""] * 4
    assert store.column("clip_view")[:2] == ['{"view": 0}', '{"view": 1}']
    assert store.column("decoder")[6:8] == ["", ""]
    assert store.rows_of("video0003").tolist() == [6, 7]
    assert store.sources[0] == "source0000"
    assert store.video_digests[0] == units(1)[0].video_digest
    assert store.row_digests("clip")[6] == ""
    assert store.arrays["clip"].rows == 12
    assert store.fingerprint["clip"] == CLIP.fingerprint
    assert store.metadata == {"views": 2}
    assert store.units() == units(6)


@pytest.mark.parametrize(
    ("name", "rows", "word"),
    [
        ("embedding", [6], "video 'video0003', view 0.*broken.*status == 1"),
        ("embedding", [12], "expected 0 to 11"),
        ("embedding", [-1], "expected 0 to 11"),
        ("embedding", [0.0], "whole numbers"),
        ("embedding", np.ones(12, bool), "np.flatnonzero"),
        ("embedding", [[0]], "one list"),
        ("tokens", [0], "it has embedding, clip"),
    ],
)
def test_a_row_that_cannot_be_had_is_an_error_and_never_zeros(sound: Path, name: str, rows: Any, word: str) -> None:
    with pytest.raises(RowError, match=word):
        open_store(sound).read(name, rows)


def test_unknown_videos_and_columns_are_errors(sound: Path) -> None:
    store = open_store(sound)
    with pytest.raises(RowError, match="'nobody'"):
        store.rows_of("nobody")
    with pytest.raises(RowError, match="decoder"):
        store.column("nothing")


def test_what_was_read_may_be_changed_without_changing_the_store(sound: Path) -> None:
    store = open_store(sound)
    store.read("embedding", [0])[:] = 0
    assert store.read("embedding", [0]).any()


def test_a_store_travels_to_another_process_as_its_path(sound: Path) -> None:
    store: Store = pickle.loads(pickle.dumps(open_store(sound)))
    assert store.digest() == open_store(sound).digest()


def test_the_fingerprint_asked_for_opens_and_another_is_told_field_by_field(sound: Path) -> None:
    open_store(sound, {"embedding": {**EMBEDDING.fingerprint, "size": 112.0}})
    asked = {"embedding": {"kind": "embedding", "weights": "xyz", "size": 224}, "tokens": {}}
    with pytest.raises(FingerprintMismatchError) as caught:
        open_store(sound, asked)
    assert str(caught.value).splitlines()[1:-1] == [
        "  embedding.size: stored 112, asked 224",
        '  embedding.weights: stored "abc", asked "xyz"',
        "  tokens: not in the store, which has embedding, clip",
    ]


def copy_with(sound: Path, target: Path, change: Any, sign: bool = True) -> Path:
    """Write a store's root document, changed and signed again, beside nothing else."""
    told = json.loads((sound / "zarr.json").read_text())["attributes"]["teachonce"]
    change(told)
    if sign:
        told.pop("digest")
        told["digest"] = digest(told)
    target.mkdir()
    (target / "zarr.json").write_text(root_text(told))
    return target


def test_a_newer_format_is_refused_clearly(sound: Path, tmp_path: Path) -> None:
    newer = copy_with(sound, tmp_path / "n", lambda told: told.update(format_version=3))
    with pytest.raises(FormatVersionError, match="version 3, newer; this code reads 1 to 2; do: update teachonce"):
        open_store(newer)


def test_edited_metadata_is_refused_when_an_identity_is_asked_for(sound: Path, tmp_path: Path) -> None:
    edited = copy_with(sound, tmp_path / "e", lambda told: told["metadata"].update(views=3), sign=False)
    assert not open_store(edited).intact
    with pytest.raises(StoreError, match="changed after writing"):
        open_store(edited, {})


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(num_rows=10**12),
        lambda told: told.update(num_rows=10**12, views_per_video=10**12),
        lambda told: told.update(num_rows=10**30),
        lambda told: told.update(num_rows=-12),
        lambda told: told.update(num_rows=True, views_per_video=True),
        lambda told: told["arrays"]["clip"].update(shape=[10**6, 10**6, 3, 1]),
        lambda told: told["arrays"]["clip"].update(dtype="object"),
        lambda told: told["arrays"].pop("clip"),
        lambda told: told.update(order=["../../etc"]),
        lambda told: told.update(columns=["../../etc"]),
        lambda told: told["files"].update({"../../etc/passwd": "0" * 64}),
        lambda told: told["chunks"].update(clip=[]),
        lambda told: told.update(arrays=None),
    ],
)
def test_impossible_claims_are_refused_on_opening(sound: Path, tmp_path: Path, change: Any) -> None:
    with pytest.raises(StoreError):
        open_store(copy_with(sound, tmp_path / "x", change))


def test_rows_larger_than_their_files_are_refused_before_memory_is_taken(sound: Path, tmp_path: Path) -> None:
    def claim(told: Any) -> None:
        told["arrays"]["embedding"]["shape"] = [16000]
        told["arrays"]["clip"]["shape"] = [4, 96, 64, 30000]

    hostile = copy_with(sound, tmp_path / "x", claim)
    for name in ("status", "reason", "video_id", "embedding", "clip"):
        (hostile / name).symlink_to(sound / name)
    store = open_store(hostile)
    for name in ("embedding", "clip"):
        with pytest.raises(StoreError, match="its metadata says"):
            store.read(name, [0])


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100000, b'{"attributes": {}}'])
def test_what_is_not_a_store_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "zarr.json").write_bytes(content)
    with pytest.raises(StoreError, match="zarr.json"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match="do: build it, or dvc pull it"):
        open_store(tmp_path / "nowhere")


@pytest.mark.parametrize("ram_bytes", [1 << 30, 0])
@pytest.mark.parametrize("chunk", ["embedding/c/0/0", "clip/c.0.0.0.0.0"])
@pytest.mark.parametrize("how", ["flip", "truncate", "missing", "empty"])
def test_damage_is_noticed_when_a_chunk_is_first_read(tmp_path: Path, chunk: str, how: str, ram_bytes: int) -> None:
    place = tmp_path / "s.zarr"
    build(place, units(2))
    damage(place / chunk, how)
    with pytest.raises(StoreError, match=chunk):
        open_store(place, ram_bytes=ram_bytes).read(chunk.split("/")[0], [0])


def test_a_file_that_shrinks_while_it_is_in_use_is_noticed(tmp_path: Path) -> None:
    place = tmp_path / "s.zarr"
    build(place, units(2))
    store = open_store(place)
    store.read("clip", [0])
    chunk = place / "clip/c.0.0.0.0.0"
    damage(chunk, "halve")
    with pytest.raises(StoreError, match="became shorter"):
        store.read("clip", [1])


def test_an_unchanged_content_has_an_unchanged_digest_and_any_change_another(sound: Path, tmp_path: Path) -> None:
    build(tmp_path / "same", units(6), teacher=Teacher(broken={"source0003": "broken"}), max_failed=1)
    build(tmp_path / "ok", units(6))
    build(tmp_path / "less", units(5))
    digests = {open_store(tmp_path / name).digest() for name in ("same", "ok", "less")}
    assert len(digests) == 3
    assert open_store(sound).digest() in digests  # metadata is not content


def test_a_sound_chunk_in_the_place_of_another_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    build(path, units(2))
    damage(path / "clip/c.0.0.0.0.0", "missing")
    shutil.copyfile(path / "clip/c.1.0.0.0.0", path / "clip/c.0.0.0.0.0")
    store = open_store(path)
    store.read("clip", [2])
    with pytest.raises(StoreError, match="not the chunk that was written"):
        store.read("clip", [0])
