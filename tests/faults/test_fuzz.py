"""Damaged input of every kind gives a result or one of the project's own errors, never another exception."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cache.store import CacheError, open_store
from cache.store.files import Folder
from cache.store.verify import verify
from pipeline.core import registry
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import read_labels, read_scales, read_videos, write_labels, write_scales, write_videos
from pipeline.models.internvideo2.reading import read_checkpoint
from pipeline.preparation.datasets.shared.matlab import read_columns
from pipeline.preparation.datasets.shared.tables import read_rows
from pipeline.rendering.views import ViewParameters
from pipeline.students.shared.model import load_student
from stages.params import Params, load_params
from tests.cache.toy import build, units
from tests.faults.damage import BOUNDED, edited, rewritten
from tests.imports import ROOT
from tests.pipeline.preparation.datasets.published import EXAMPLES
from tests.scoring_models import save_student
from tests.tiny_run import ScoreScale, make_videos

OWN = (PipelineError, CacheError)
PARAMS = (ROOT / "params.yaml").read_bytes()
LABEL_SUFFIXES = (".csv", ".txt", ".xlsx")


IN_MATLAB = {"live_vqc", "vsfa_info", "live_iqa", "live_qualcomm", "live_challenge"}
"""Data sets without another label file; each of these is read in a process of its own."""


def survives(function, *arguments) -> object:
    """The result, or None where the input is refused as it should be."""
    try:
        return function(*arguments)
    except OWN:
        return None


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("tables")
    videos, labels = make_videos()
    write_videos(folder / "videos.csv", videos[:4])
    write_labels(folder / "labels.csv", labels[:4])
    write_scales(folder / "dataset.json", {"x": ScoreScale(score_name="MOS", low=0.0, high=1.0)})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "reader"), [("videos.csv", read_videos), ("labels.csv", read_labels), ("dataset.json", read_scales)]
)
@BOUNDED
@given(data=st.data())
def test_tables(tables: dict[str, bytes], tmp_path: Path, name: str, reader, data: st.DataObject) -> None:
    (tmp_path / name).write_bytes(data.draw(edited(tables[name])))
    survives(reader, tmp_path / name)


@BOUNDED
@given(text=edited(PARAMS))
@example(text=b"&a [*a]")
@example(text=b"prepare: &a {x: *a}")
@example(text=b"? [1]\n: 2")
@example(text=b"!!python/object/apply:os.mkdir [ran]")
@example(text=b"a: 2001-99-99")
@example(text=b"[" * 5000)
@example(text=b"\xff\xfe")
def test_params(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(text)
    found = survives(load_params, tmp_path / "params.yaml")
    assert found is None or isinstance(found, Params)
    assert not Path("ran").exists()


def label_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in LABEL_SUFFIXES and path.is_file())


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"folder", "combined", *IN_MATLAB}))
@BOUNDED
@given(data=st.data())
def test_label_files(name: str, made: dict[str, tuple[Path, dict]], data: st.DataObject) -> None:
    folder, options = made[name]
    module = registry.find("preparation.datasets", name)
    path = data.draw(st.sampled_from(label_files(folder)))
    whole = path.read_bytes()
    try:
        path.write_bytes(data.draw(edited(whole)))
        options = module.Settings.parse(options, "here")
        survives(module.collect, options, folder.parents[1], 1, None)
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict]]:
    root = tmp_path_factory.mktemp("published")
    found = {}
    for name in sorted(set(EXAMPLES) - {"folder", "combined"}):
        folder = root / name / "raw" / name
        folder.mkdir(parents=True)
        found[name] = (folder, EXAMPLES[name](folder) or {})
    return found


@pytest.mark.parametrize(
    ("name", "file", "variables"),
    [
        ("live_challenge", "Data/AllImages_release.mat", ["AllImages_release"]),
        ("live_qualcomm", "qualcommSubjectiveData.mat", ["qualcommVideoData.vidNames"]),
        ("vsfa_info", "LIVE-VQCinfo.mat", ["scores", "video_names"]),
    ],
)
@settings(BOUNDED, max_examples=12)
@given(data=st.data())
def test_matlab_files(
    name: str, file: str, variables: list[str], made: dict[str, tuple[Path, dict]], tmp_path: Path, data: st.DataObject
) -> None:
    (tmp_path / "x.mat").write_bytes(data.draw(edited((made[name][0] / file).read_bytes())))
    survives(read_columns, tmp_path / "x.mat", {name: [name] for name in variables}, [])


@BOUNDED
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_as_a_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    survives(read_rows, tmp_path / "x.csv", ["name", "mos"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "s.zarr"
    build(place, units(3))
    return place


def use(path: Path) -> None:
    """Everything that a stage does with a store that it is given."""
    opened = open_store(path)
    rows = np.flatnonzero(opened.status == 1)
    for name in opened.arrays:
        opened.read(name, rows)
        opened.row_digests(name)
    opened.units()
    opened.digest()


@pytest.mark.parametrize("form", ["values", "bytes"])
@pytest.mark.parametrize("document", ["zarr.json", "embedding/zarr.json"])
@BOUNDED
@given(data=st.data())
def test_store_metadata(store: Path, document: str, form: str, data: st.DataObject) -> None:
    path = store / document
    whole = path.read_bytes()
    damaged = rewritten(json.loads(whole)) if form == "values" else edited(whole)
    path.unlink()
    try:
        path.write_bytes(data.draw(damaged))
        survives(use, store)
        assert verify(Folder(store)) or path.read_bytes() == whole
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_student(tmp_path_factory.mktemp("student") / "model")


@pytest.mark.parametrize("document", ["config.json", "model.safetensors"])
@BOUNDED
@given(data=st.data())
def test_students(student: Path, tmp_path: Path, document: str, data: st.DataObject) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(student, folder, dirs_exist_ok=True)
    whole = (student / document).read_bytes()
    if document == "config.json":
        (folder / document).write_bytes(data.draw(edited(whole)))
    else:
        header = whole[: 8 + int.from_bytes(whole[:8], "little")]
        (folder / document).write_bytes(data.draw(edited(header)) + whole[len(header) :])
        survives(read_checkpoint, folder / document)
    survives(load_student, folder)


@BOUNDED
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_checkpoint(tmp_path: Path, content: bytes) -> None:
    for name in ("x.pth", "x.safetensors"):
        (tmp_path / name).write_bytes(content)
        assert survives(read_checkpoint, tmp_path / name) is None


@BOUNDED
@given(text=rewritten({"frames": [0, 1], "plane": [4, 4], "patches": [[0, 0]], "patch": 2}))
def test_stored_views(text: bytes) -> None:
    survives(ViewParameters.from_json, text.decode())
