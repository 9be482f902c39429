"""Hostile files and hostile names: nothing of theirs is run, no memory is taken on their word, no path leads out."""

import ast
import hashlib
import json
import os
import pickle
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import psutil
import pytest
import torch

from pipeline.core.errors import PipelineError
from pipeline.models.internvideo2.reading import CheckpointError, read_checkpoint
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.matlab import read_mat
from pipeline.rendering.clips import RenderTask, render_video
from pipeline.rendering.policy import ViewPolicy
from pipeline.students.shared.model import load_student
from pipeline.video.decoder import DecodeOptions
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost
from tests.faults.containers import picture
from tests.imports import ROOT
from tests.scoring_models import save_student

PRODUCT = [
    path for room in ("cache", "pipeline", "stages", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))
]


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    """Every call in the product, with the dotted name of what is called."""
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, ast.unparse(node.func), node


def test_no_call_of_the_product_runs_what_a_file_says() -> None:
    seen = []
    for path, name, call in calls():
        keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
        where = f"{path.relative_to(ROOT)}:{call.lineno}"
        seen.append(name)
        assert name not in ("eval", "exec", "compile", "os.system", "os.popen", "__import__"), where
        assert name.split(".")[0] not in ("pickle", "dill", "joblib", "marshal", "shelve"), where
        assert "shell" not in keywords, where
        assert "allow_pickle" not in keywords, where
        assert "trust_remote_code" not in keywords, where
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", where
        assert not name.startswith("yaml."), where
        if name == "YAML":
            assert keywords.get("typ") == "'safe'", where
    assert seen.count("torch.load") >= 2
    assert "YAML" in seen


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> Any:
        return os.mkdir, (os.fspath(self._proof),)


def pickled(path: Path, proof: Path, form: str) -> Path:
    """A checkpoint with code in it, in one of the forms in which such files come."""
    if form == "torch":
        torch.save({"model": Bomb(proof)}, path)
    elif form == "torch before 1.6":
        torch.save({"model": Bomb(proof)}, path, _use_new_zipfile_serialization=False)
    elif form == "pickle":
        path.write_bytes(pickle.dumps({"model": Bomb(proof)}))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Bomb(proof), protocol=0))
            archive.writestr("archive/version", "3\n")
    return path


@pytest.mark.parametrize("form", ["torch", "torch before 1.6", "pickle", "zip"])
@pytest.mark.parametrize("name", ["teacher.pth", "teacher.safetensors", "pytorch_model.bin"])
def test_a_checkpoint_with_code_in_it_is_refused(tmp_path: Path, form: str, name: str) -> None:
    proof = tmp_path / "ran"
    with pytest.raises(CheckpointError):
        read_checkpoint(pickled(tmp_path / name, proof, form))
    assert not proof.exists()


@pytest.mark.parametrize("form", ["torch", "torch before 1.6", "pickle", "zip"])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_student_with_code_in_it_is_refused(tmp_path: Path, form: str, name: str) -> None:
    folder, proof = save_student(tmp_path / "model"), tmp_path / "ran"
    (folder / "model.safetensors").unlink()
    pickled(folder / name, proof, form)
    with pytest.raises(PipelineError):
        load_student(folder)
    assert not proof.exists()


def claiming(header: dict[str, Any], padding: int = 64) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(padding)


LIES = {
    "terabytes": claiming({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
    "terabytes in no bytes": claiming({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 64]}}),
    "a header of terabytes": struct.pack("<Q", 1 << 42) + b"{" + bytes(64),
    "overflow": claiming({"x": {"dtype": "F64", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 64]}}),
    "backwards": claiming({"x": {"dtype": "F32", "shape": [16], "data_offsets": [64, 0]}}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_safetensors_header_that_lies_takes_no_memory(tmp_path: Path, lie: str) -> None:
    folder = save_student(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(LIES[lie])
    before = psutil.Process().memory_info().rss
    with pytest.raises(CheckpointError):
        read_checkpoint(folder / "model.safetensors")
    with pytest.raises(PipelineError):
        load_student(folder)
    assert psutil.Process().memory_info().rss - before < 200 << 20


def test_a_table_that_claims_terabytes_takes_no_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.mat", "w", userblock_size=512) as file:
        file.create_dataset("mos", shape=(1 << 40,), dtype="f8", chunks=(1 << 10,))
    with pytest.raises(DatasetError, match="claims"):
        read_mat(tmp_path / "t.mat", ["mos"])


def test_a_table_that_leads_to_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(3.0)
    with h5py.File(tmp_path / "t.mat", "w", userblock_size=512) as file:
        file["mos"] = h5py.ExternalLink(tmp_path / "secret.h5", "x")
    with pytest.raises(DatasetError):
        read_mat(tmp_path / "t.mat", ["mos"])


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An 8K video of 120 frames in a few MB: one key frame, encoded once and stored over and over."""
    path = tmp_path_factory.mktemp("big") / "8k.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        stream.codec_context.colorspace = 1
        packets = [*stream.encode(picture(0, width=7680, height=4320)), *stream.encode(None)]
        for number in range(120):
            packet = av.Packet(bytes(packets[0]))
            packet.stream, packet.time_base = stream, packets[0].time_base
            packet.pts = packet.dts = int(number / 25 / packets[0].time_base)
            packet.is_keyframe = True
            container.mux(packet)
    assert path.stat().st_size < 100 << 20
    return path


def rendered(path: Path, limits: Limits, options: DecodeOptions | None = None) -> object:
    policy = ViewPolicy(policy="fragments", sampling="uniform", num_frames=64, size=64, grid=2)
    task = RenderTask(
        path=path,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        num_frames=None,
        policies={"main": policy},
        num_views=1,
        decoder="auto",
        repeat=False,
        options=options or DecodeOptions(),
    )
    return dict(LocalWorkers(1, limits).map(render_video, [task]))[0]


def test_a_video_that_takes_too_much_costs_its_row(big: Path) -> None:
    start = time.monotonic()
    slow = rendered(big, Limits(seconds=60.0, cpu_seconds=0.5))
    assert slow == Lost("took more than 0.5 s of processor time")
    large = rendered(big, Limits(seconds=60.0, memory_bytes=192 << 20))
    assert isinstance(large, str | Lost), large
    assert time.monotonic() - start < 60


def test_a_video_of_too_many_frames_or_pixels_is_refused_at_once(big: Path) -> None:
    limits = Limits(seconds=60.0)
    assert rendered(big, limits, DecodeOptions(max_frames=100)) == "the video has more than 100 frames"
    assert "at most 8000000 px" in str(rendered(big, limits, DecodeOptions(max_frame_pixels=8_000_000)))
