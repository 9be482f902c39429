"""Verify finds every kind of damage, and names array, chunk and videos."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.store import CacheError, Problem, Store, digest, open_store
from cache.store.files import Folder
from cache.store.layout import root_text
from cache.store.verify import verify
from tests.cache.toy import damage


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "s.zarr"))


def problems(path: Path, *, deep: bool = False) -> list[Problem]:
    return verify(Folder(path), deep=deep)


def test_a_sound_store_has_no_problems(sound: Path) -> None:
    assert problems(sound) == open_store(sound).verify() == []
    assert problems(sound, deep=True) == open_store(sound).verify(deep=True) == []


ALL_FILES = [
    "zarr.json", "clip/zarr.json", "clip/c.0.0.0.0.0", "clip/c.5.0.0.0.0", "embedding/c/0/0", "embedding/zarr.json",
    "embedding_sha256/c/0/0", "embedding_loss/c/0/0", "clip_sha256/c/0/0", "status/c/0", "reason/c/0", "view/c/0",
    "video_id/c/0", "video_digest/c/0", "source_digest/c/0", "decoder/c/0", "clip_view/c/0", "status/zarr.json",
]  # fmt: skip


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("how", ["flip", "missing", "empty", "truncate", "longer", "directory", "pipe"])
@pytest.mark.parametrize("deep", [False, True])
def test_every_damaged_file_is_found_and_named(store: Path, name: str, how: str, deep: bool) -> None:
    damage(store / name, how)
    found = problems(store, deep=deep)
    assert name in {problem.chunk for problem in found}
    array = name.split("/")[0]
    if array != "zarr.json":
        assert array in {problem.array for problem in found}


@pytest.mark.parametrize(
    ("name", "videos"),
    [("clip/c.1.0.0.0.0", ("video0001",)), ("embedding/c/0/0", tuple(f"video{n:04d}" for n in range(6)))],
)
def test_the_videos_of_a_damaged_chunk_are_named(store: Path, name: str, videos: tuple[str, ...]) -> None:
    damage(store / name, "truncate")
    (problem,) = problems(store)
    assert problem.videos == videos
    assert "truncated" in problem.what
    assert problem.chunk in str(problem)
    assert videos[0] in str(problem)


@pytest.mark.parametrize(
    "extra", ["clip/c.9.0.0.0.0", "clip/c.3.0.0.0.0", "new/zarr.json", ".partial", "embedding/c/0/1"]
)
def test_an_extra_file_is_found(store: Path, extra: str) -> None:
    (store / extra).parent.mkdir(parents=True, exist_ok=True)
    (store / extra).write_bytes(b"x")
    assert extra in {problem.chunk for problem in problems(store)}


def test_two_exchanged_chunks_are_found(store: Path) -> None:
    one, other = store / "clip/c.0.0.0.0.0", store / "clip/c.1.0.0.0.0"
    one.rename(store / "x")
    other.rename(one)
    (store / "x").rename(other)
    for deep in (False, True):
        assert {problem.videos for problem in problems(store, deep=deep)} == {("video0000",), ("video0001",)}


def rewrite(path: Path, name: str, array: Any, change: Any) -> None:
    """Change an array through zarr, and correct every digest of files as a careful forger would."""
    import hashlib

    import zarr

    opened = zarr.open_array(path / name, mode="r+")
    values = opened[:]
    change(values)
    opened[:] = values
    root = json.loads((path / "zarr.json").read_text())["attributes"]["teachonce"]
    chunk = path / name / "c" / "0"
    chunk = chunk if chunk.is_file() else chunk / "0"
    root["chunks"][name] = [hashlib.sha256(chunk.read_bytes()).hexdigest()]
    root["crc32c"][name] = [chunk.read_bytes()[-4:].hex()]
    root.pop("digest")
    root["digest"] = digest(root)
    (path / "zarr.json").write_text(root_text(root))


def _swap(values: Any) -> None:
    values[0], values[2] = values[2], values[0]


def _set(index: int, value: Any) -> Any:
    def change(values: Any) -> None:
        values[index] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("video_id", _swap, "keys are out of order|apart"),
        ("video_id", _set(1, "other"), "apart"),
        ("view", _set(3, 0), "keys are out of order"),
        ("status", _set(0, 2), "does not match"),
        ("status", _set(0, 0), "other than 1 and 2"),
        ("status", _set(6, 1), "does not match"),
        ("reason", _set(0, "why"), "does not match the reasons"),
        ("reason", _set(6, ""), "does not match the reasons"),
        ("source_digest", _set(1, "x"), "differs between views"),
        ("video_digest", _set(0, "x"), "content digest"),
        ("decoder", _set(0, "x"), "content digest"),
        ("embedding", _set(2, 0), "row 2 does not have the digest"),
        ("embedding", _set(6, 1), "row 6 does not have the digest"),
        ("clip_sha256", _set(4, 0), "row 4 does not have the digest"),
    ],
)
def test_a_careful_forgery_of_one_table_is_found(store: Path, name: str, change: Any, word: str) -> None:
    import re

    rewrite(store, name, None, change)
    found = problems(store, deep=name == "embedding" or name.endswith("_sha256"))
    assert any(re.search(word, problem.what) for problem in found), found


@pytest.mark.parametrize(
    "edit", ["kind", "fingerprint", "metadata", "num_rows", "space", "chunks", "crc32c", "digest", "order"]
)
def test_an_edit_of_the_metadata_is_found(store: Path, edit: str) -> None:
    path = store / "zarr.json"
    document = json.loads(path.read_text())
    told = document["attributes"]["teachonce"]
    if edit == "fingerprint":
        told["arrays"]["embedding"]["fingerprint"]["weights"] = "def"
    elif edit in ("kind", "digest"):
        told[edit] = "0" * 64
    elif edit == "metadata":
        told["metadata"]["note"] = "hello"
    elif edit == "num_rows":
        told["num_rows"] += 2
    elif edit == "chunks":
        told["chunks"]["clip"][3] = "0" * 64
    elif edit == "crc32c":
        told["crc32c"]["clip"][0] = "0" * 8
    text = root_text(told) if edit != "order" else json.dumps(document)
    path.write_text(text + (" " if edit == "space" else ""))
    assert "zarr.json" in {problem.chunk for problem in problems(store)}


def test_every_bit_counts(sound: Path, tmp_path: Path) -> None:
    """Flip random bits all over a store, one at a time."""
    place = Path(shutil.copytree(sound, tmp_path / "s.zarr"))
    files = sorted(path for path in place.rglob("*") if path.is_file())
    generator = random.Random(7)
    for _ in range(40):
        path = generator.choice(files)
        content = path.read_bytes()
        damage(path, "flip", bit=generator.randrange(8 * len(content)))
        found = problems(place)
        assert path.relative_to(place).as_posix() in {problem.chunk for problem in found}
        path.write_bytes(content)
    assert problems(place) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_edit_of_the_root_document_is_found_or_refused(sound: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = (sound / "zarr.json").read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    gone = data.draw(st.integers(0, 40))
    new = data.draw(
        st.binary(max_size=8) | st.sampled_from([b"null", b"1e999", b"NaN", b"[]", b"{}", b"-1", b'"\\ud800"'])
    )
    changed = content[:at] + new + content[at + gone :]
    place = tmp_path / "s.zarr"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for child in sound.iterdir():
        if child.name != "zarr.json":
            (place / child.name).symlink_to(child)
    (place / "zarr.json").write_bytes(changed)
    if changed != content:
        assert "zarr.json" in {problem.chunk for problem in problems(place)}
        try:
            store = open_store(place, {})
        except CacheError:
            return
        pytest.fail(f"an edited root document was opened: {store}")


ODD: list[Any] = [None, True, -1, 0, 1, 2**70, 1.5, "", "status", "x" * 99, "../x", "\ud800"]
ODD += [[], [None], [[]], {}, {"a": 1}, [2**40]]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_forged_and_signed_root_document_is_refused_or_found(sound: Path, data: st.DataObject) -> None:
    """Replace any field by any odd value, sign it again, and open, read and verify: only the project's own errors."""
    told = json.loads((sound / "zarr.json").read_text())["attributes"]["teachonce"]
    told.pop("digest")
    place: Any = told
    while True:
        steps = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or not place[step] or data.draw(st.booleans()):
            break
        place = place[step]
    before = place[step]
    place[step] = data.draw(st.sampled_from(ODD))
    try:
        content = root_text(told | {"digest": digest(told)}).encode()
    except (CacheError, UnicodeEncodeError):
        return  # it cannot even be signed
    files = Forged(sound, content)
    same = type(before) is type(place[step]) and before == place[step]
    problems = verify(files, deep=True)
    try:
        store = Store(files)
        store.digest()
        for name in store.arrays:
            store.read(name, [0, 1, 8])
    except CacheError:
        assert problems or same
    # A field that only the writer's word stands for may say anything, once it is signed.
    assert problems or same or place is told["metadata"] or step in FREE or not FREE.isdisjoint(_path(told, place))


FREE = {"fingerprint", "loss", "metadata", "kind", "dims", "content_digest"}


def _path(told: Any, wanted: Any) -> set[str]:
    """Return the fields on the way to a part of a document."""
    if told is wanted:
        return {""}
    items = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for key, item in items:
        below = _path(item, wanted)
        if below:
            return below | {str(key)}
    return set()


class Forged(Folder):
    """A store whose root document is another file.

    Args:
        root: the store.
        content: the other root document.
    """

    def __init__(self, root: Path, content: bytes) -> None:
        super().__init__(root)
        self.other = root.parent / "forged.json"
        self.other.write_bytes(content)

    def path(self, relative: str) -> Path:
        """Return where a file is."""
        return self.other if relative == "zarr.json" else super().path(relative)


def test_a_store_of_version_1_is_verified_by_its_digests(store: Path) -> None:
    document = json.loads((store / "zarr.json").read_text())["attributes"]["teachonce"]
    del document["crc32c"], document["digest"]
    document["format_version"] = 1
    document["digest"] = digest(document)
    (store / "zarr.json").write_text(root_text(document))
    assert problems(store) == []
    one, other = store / "clip/c.0.0.0.0.0", store / "clip/c.1.0.0.0.0"
    content = one.read_bytes()
    damage(one, "missing")
    shutil.copyfile(other, one)
    assert {problem.videos for problem in problems(store)} == {("video0000",)}
    one.write_bytes(content)
    assert open_store(store, {}).read("clip", [0]).shape == (1, 4, 96, 64, 3)


def test_verify_finds_every_flipped_bit_of_a_targets_chunk_without_a_digest(store: Path) -> None:
    """The crc32c alone must do: flip each bit of one small chunk file."""
    path = store / "embedding/c/0/0"
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        damage(path, "flip", bit=bit)
        (problem,) = problems(store)
        path.write_bytes(content)
        assert problem.chunk == "embedding/c/0/0"
