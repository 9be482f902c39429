"""One HDF5 file and back, with nothing lost and nothing hostile let in."""

import random
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.store import ExchangeError, StoreError, open_store
from cache.tools.hdf5 import export_hdf5, import_hdf5
from tests.cache.toy import CLIP, EMBEDDING, LOGITS, Teacher, build, damage, tree, unit, units

SPECS = (EMBEDDING, CLIP, LOGITS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stores") / "s.zarr"
    of = [*units(4), unit(7, "source0000")]
    teacher = Teacher(SPECS, broken={"source0002": "brökén"})
    build(place, of, specs=SPECS, teacher=teacher, max_failed=1, metadata={"note": "é"})
    return place


@pytest.fixture(scope="module")
def exported(store: Path) -> Path:
    path = store.parent / "s.h5"
    export_hdf5(open_store(store), path)
    return path


def test_export_and_import_give_the_same_bytes(store: Path, exported: Path, tmp_path: Path) -> None:
    import_hdf5(exported, tmp_path / "t.zarr")
    assert tree(tmp_path / "t.zarr") == tree(store)


def test_an_export_has_the_same_bytes_every_time(store: Path, exported: Path, tmp_path: Path) -> None:
    export_hdf5(open_store(store), tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == exported.read_bytes()


def test_an_export_speaks_for_itself(exported: Path) -> None:
    with h5py.File(exported) as file:
        assert [dim.label for dim in file["clip"].dims] == ["row", "t", "h", "w", "c"]
        assert file["reason"].asstr()[4] == "brökén"
        assert file["embedding"].dtype == np.float16
        assert file["status"][:].tolist() == [1, 1, 1, 1, 2, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_every_float_type_makes_the_round_trip(tmp_path: Path, dtype: str) -> None:
    from dataclasses import replace

    build(tmp_path / "s.zarr", units(2), specs=(replace(EMBEDDING, dtype=dtype),))
    export_hdf5(open_store(tmp_path / "s.zarr"), tmp_path / "s.h5")
    import_hdf5(tmp_path / "s.h5", tmp_path / "t.zarr")
    assert tree(tmp_path / "t.zarr") == tree(tmp_path / "s.zarr")


def test_a_damaged_store_is_not_exported(store: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(store, tmp_path / "d.zarr"))
    damage(damaged / "clip/c.1.0.0.0.0", "flip")
    with pytest.raises(StoreError, match="clip/c.1"):
        export_hdf5(open_store(damaged), tmp_path / "d.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["d.zarr"]


def _value(name: str, row: int, value: Any) -> Any:
    def change(file: Any) -> None:
        file[name][row] = value

    return change


def _external(file: Any) -> None:
    del file["clip"]
    file["clip"] = h5py.ExternalLink("/etc/passwd", "/clip")


def _soft(file: Any) -> None:
    file.move("clip", "elsewhere")
    file["clip"] = h5py.SoftLink("/elsewhere")


def _outside(file: Any) -> None:
    shape, dtype = file["clip"].shape, file["clip"].dtype
    del file["clip"]
    file.create_dataset("clip", shape, dtype, external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: Any) -> None:
    shape, dtype = file["clip"].shape, file["clip"].dtype
    del file["clip"]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "clip", shape)
    file.create_virtual_dataset("clip", layout)


def _bomb(file: Any) -> None:
    shape, dtype = file["clip"].shape, file["clip"].dtype
    del file["clip"]
    file.create_dataset("clip", shape, dtype, compression="gzip")


def _terabytes(file: Any) -> None:
    del file["embedding"]
    file.create_dataset("embedding", (2**36, 24), "f2", chunks=(16, 24))


def _sparse(file: Any) -> None:
    shape, chunks = file["clip"].shape, file["clip"].chunks
    del file["clip"]
    file.create_dataset("clip", shape, "u1", chunks=chunks)


def _no_root(file: Any) -> None:
    del file["zarr.json"]


def _other_type(file: Any) -> None:
    values = file["view"][:]
    del file["view"]
    file["view"] = values.astype("i8")


def _group(file: Any) -> None:
    del file["status"]
    file.create_group("status")


def _numbers(file: Any) -> None:
    del file["reason"]
    file["reason"] = np.zeros(10)


@pytest.mark.parametrize(
    "change",
    [
        _value("embedding", 0, 1),
        _value("clip", 3, 1),
        _value("status", 0, 2),
        _value("status", 0, 7),
        _value("view", 1, 0),
        _value("reason", 4, "another"),
        _value("video_id", 0, "zzz"),
        _value("video_id", 0, b"\xff\xfe"),
        _value("source_digest", 0, "zzz"),
        _value("clip_sha256", 0, 0),
        _value("zarr.json", 3000, 65),
        _external,
        _soft,
        _outside,
        _virtual,
        _bomb,
        _terabytes,
        _sparse,
        _no_root,
        _other_type,
        _group,
        _numbers,
    ],
)
def test_an_edited_or_hostile_file_is_refused_and_nothing_is_left(exported: Path, tmp_path: Path, change: Any) -> None:
    hostile = Path(shutil.copy(exported, tmp_path / "x.h5"))
    with h5py.File(hostile, "r+") as file:
        change(file)
    with pytest.raises(ExchangeError, match="x.h5"):
        import_hdf5(hostile, tmp_path / "t.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_not_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(ExchangeError):
        import_hdf5(tmp_path / "x.h5", tmp_path / "t.zarr")
    with pytest.raises(ExchangeError, match="teachonce cache export"):
        import_hdf5(tmp_path / "absent.h5", tmp_path / "t.zarr")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_noise_in_the_file_is_refused_or_harmless(exported: Path, store: Path, tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    content = bytearray(exported.read_bytes())
    for _ in range(generator.choice([1, 3, 30])):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    if generator.random() < 0.2:
        content = content[: generator.randrange(len(content))]
    (tmp_path / "x.h5").write_bytes(content)
    shutil.rmtree(tmp_path / "t.zarr", ignore_errors=True)
    try:
        import_hdf5(tmp_path / "x.h5", tmp_path / "t.zarr")
    except ExchangeError:
        return
    assert open_store(tmp_path / "t.zarr").digest() == open_store(store).digest()
