"""The format on disk is what ``cache/README.md`` says: readable with numpy and json, valid Zarr, open to xarray."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.codecs import Crc32cCodec
from zarr.storage import MemoryStore

from cache.store import open_store
from cache.store.chunks import seal
from tests.cache.toy import CLIP, EMBEDDING, Teacher, build, tree, units, values

FIRST_RELEASE = Path(__file__).parent / "fixtures" / "format_1.zarr"
FIRST_RELEASE_DIGEST = "152d8516aaac44699a61f200631073a886b3cc8c83e921f6072045c953aba848"


class PlainReader:
    """Reads a store by the specification, with nothing but numpy and json.

    Args:
        store: its folder.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.about = json.loads((store / "zarr.json").read_text())["attributes"]["teachonce"]

    def array(self, name: str) -> "np.ndarray[Any, Any] | list[str]":
        """Read one array whole."""
        told = json.loads((self.store / name / "zarr.json").read_text())
        shape, (chunk_rows, *inner) = told["shape"], told["chunk_grid"]["configuration"]["chunk_shape"]
        parts: list[Any] = []
        for chunk in range(-(-shape[0] // chunk_rows)):
            separator = told["chunk_key_encoding"]["configuration"]["separator"]
            file = self.store / name / separator.join(["c", str(chunk), *["0"] * len(inner)])
            if told["data_type"] == "string":
                parts += self.texts(file.read_bytes()[:-4])
            elif file.exists():
                data = np.fromfile(file, np.uint8)[:-4].view(np.dtype(told["data_type"]).newbyteorder("<"))
                parts.append(data.reshape(chunk_rows, *inner))
            else:
                parts.append(np.zeros((chunk_rows, *inner), told["data_type"]))
        return parts[: shape[0]] if told["data_type"] == "string" else np.concatenate(parts)[: shape[0]]

    @staticmethod
    def texts(payload: bytes) -> list[str]:
        """Read length-prefixed text."""
        count, at, texts = int.from_bytes(payload[:4], "little"), 4, []
        for _ in range(count):
            length = int.from_bytes(payload[at : at + 4], "little")
            texts.append(payload[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return texts


def check_plain(path: Path) -> None:
    reader, store = PlainReader(path), open_store(path)
    ok = np.flatnonzero(np.asarray(reader.array("status")) == 1)
    assert ok.tolist() == np.flatnonzero(store.status == 1).tolist()
    for name in reader.about["arrays"]:
        np.testing.assert_array_equal(np.asarray(reader.array(name))[ok], store.read(name, ok))
    assert reader.array("video_id") == store.video_ids
    assert np.asarray(reader.array("view")).tolist() == store.views
    assert reader.array("reason") == store.reasons
    assert reader.array("video_digest") == store.video_digests
    assert reader.array("source_digest") == store.sources
    for column in reader.about["columns"]:
        assert reader.array(column) == store.column(column)


def test_a_store_is_read_with_nothing_but_numpy_and_json(sound: Path) -> None:
    check_plain(sound)


def test_several_padded_chunks_are_read_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.store.layout.CHUNK_ROWS", 4)
    build(tmp_path / "s.zarr", units(5))
    check_plain(tmp_path / "s.zarr")


def test_zarr_reads_every_array(sound: Path) -> None:
    group = zarr.open_group(sound, mode="r")
    store = open_store(sound)
    ok = np.flatnonzero(store.status == 1)
    for name in ("embedding", "clip"):
        array = group[name]
        assert isinstance(array, zarr.Array)
        np.testing.assert_array_equal(np.asarray(array[:])[ok], store.read(name, ok))
    assert group["video_id"][:].tolist() == store.video_ids
    assert sorted(group.array_keys()) == sorted(store.root.layout.arrays())


def test_xarray_opens_it_with_named_dimensions(sound: Path) -> None:
    with xarray.open_zarr(sound, consolidated=False) as data:
        assert data["clip"].dims == ("row", *CLIP.dims)
        assert data["embedding"].dims == ("row", *EMBEDDING.dims)
        assert data["embedding"].dtype == np.float16
        ok = (data["status"] == 1).values
        expected = np.concatenate([values(EMBEDDING, unit) for unit in units(6)])[ok]
        np.testing.assert_allclose(data["embedding"].values[ok], expected, rtol=1e-3, atol=1e-6)
        assert data["video_id"].values[2] == "video0001"


def test_a_linked_chunk_file_is_what_zarr_would_write() -> None:
    rows = values(CLIP, units(1)[0])
    kept: dict[str, Any] = {}
    array = zarr.create_array(
        MemoryStore(kept), shape=rows.shape, dtype="uint8", chunks=rows.shape, filters=None, compressors=[Crc32cCodec()]
    )
    array[:] = rows
    assert kept["c/0/0/0/0/0"].to_bytes() == seal(rows.tobytes())


def test_no_group_has_consolidated_metadata(sound: Path) -> None:
    assert "consolidated_metadata" not in json.loads((sound / "zarr.json").read_text())


def test_a_store_of_the_first_release_opens_for_ever() -> None:
    store = open_store(FIRST_RELEASE, {spec.name: spec.fingerprint for spec in (EMBEDDING,)})
    assert store.verify() == []
    assert store.digest() == FIRST_RELEASE_DIGEST
    assert store.reasons[2:4] == ["shorter than its view"] * 2
    np.testing.assert_allclose(store.read("embedding", [0, 1]), values(EMBEDDING, units(1)[0]), rtol=1e-3, atol=1e-6)
    check_plain(FIRST_RELEASE)


def test_todays_code_still_writes_the_first_releases_content(tmp_path: Path) -> None:
    broken = Teacher((EMBEDDING,), broken={"source0001": "shorter than its view"})
    build(tmp_path / "s.zarr", units(3), specs=(EMBEDDING,), teacher=broken, max_failed=1)
    assert open_store(tmp_path / "s.zarr").digest() == FIRST_RELEASE_DIGEST
    today, first = (
        # Losses are sums, whose last bit may depend on the machine.
        {name: sha256 for name, sha256 in tree(path).items() if "/c/" in name and "_loss" not in name}
        for path in (tmp_path / "s.zarr", FIRST_RELEASE)
    )
    assert today == first
