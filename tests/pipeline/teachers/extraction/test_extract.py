"""Extraction: a row is the teacher's output, whatever its batch mates, its workers and its history."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache.build import Pool
from cache.store import TooManyFailedError, open_store
from cache.store.scratch import scratch_folder
from pipeline.core.manifest import CLIP_DIGEST
from pipeline.core.settings import RuntimeSettings
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config
from pipeline.models.pixels import normalise
from pipeline.teachers.extraction.extract import LIVE_COUNTS, extract
from pipeline.teachers.extraction.extractor import Extractor, Plan, pooled_tokens
from pipeline.teachers.extraction.settings import ExtractSettings
from pipeline.teachers.extraction.targets import target_specs
from pipeline.teachers.extraction.tuning import Proposal, Trial, dry_run, propose
from pipeline.teachers.shared.preprocessing import FINETUNED
from pipeline.teachers.shared.saved import TEACHER_FORMAT, TeacherError, load_teacher, save_teacher
from tests.stores import VIEWS, names, pixels_of, write_clips

SETTINGS = ExtractSettings(
    view_set="main",
    kinds=["embedding", "embedding_normed", "logits"],
    layers=[],
    tokens_grid=None,
    precision="float32",
    dtype="float32",
    max_failed=0,
    threads=1,
)
RUNTIME = RuntimeSettings(
    workers=1,
    device="cpu",
    scheduler=None,
    decode_timeout_seconds=10.0,
    decode_memory_bytes=1 << 30,
)


def write_teacher(folder: Path, seed: int = 0) -> None:
    """A teacher that is small, but sees the whole clip; its head is large enough to be told from noise."""
    torch.manual_seed(seed)
    config = InternVideo2Config(
        embed_dim=32,
        depth=2,
        num_heads=2,
        mlp_ratio=2.0,
        patch_size=28,
        tubelet_size=4,
        image_size=112,
        layerscale_init=0.5,
        pool_dim=16,
        pool_num_heads=2,
        num_classes=1,
    )
    folder.mkdir(exist_ok=True)
    save_teacher(InternVideo2(config), folder, teacher="test", view_set="main", adapted=False, preprocessing=FINETUNED)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with clips of five videos and a teacher, and with a pool of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write_clips(tmp_path / "clips.zarr", names(5))
    write_teacher(tmp_path / "teacher")
    return tmp_path


def plan_of(project: Path, **changes: Any) -> Plan:
    settings = ExtractSettings(**(SETTINGS.model_dump() | changes))
    return Plan(
        teacher=load_teacher(project / "teacher"), clips=project / "clips.zarr", settings=settings, device="cpu"
    )


def counts() -> dict[str, int]:
    return json.loads((scratch_folder() / LIVE_COUNTS).read_text(encoding="utf-8"))


def files_of(store: Path) -> dict[str, bytes]:
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_a_row_is_the_teachers_output_on_the_stored_pixels(project: Path) -> None:
    metrics = extract(plan_of(project), project / "targets.zarr", RUNTIME)
    assert (metrics["rows"], metrics["failed"]) == (10, 0)
    store = open_store(project / "targets.zarr")
    model = InternVideo2.from_pretrained(project / "teacher").eval()
    for name in names(5):
        pixels = normalise(torch.from_numpy(pixels_of(name)))
        with torch.no_grad():
            output = model(pixels)
        for kind in SETTINGS.kinds:
            np.testing.assert_allclose(store.read(kind, store.rows_of(name)), output[kind].numpy(), atol=1e-5)
    clips = open_store(project / "clips.zarr")
    assert store.column(CLIP_DIGEST) == clips.row_digests("main")


def test_a_row_does_not_depend_on_its_batch_mates(project: Path) -> None:
    extractor = Extractor(plan_of(project))
    alone = [extractor.forward(pixels_of(name)[:1], ["embedding"])["embedding"] for name in names(4)]
    together = extractor.forward(np.concatenate([pixels_of(name)[:1] for name in names(4)]), ["embedding"])
    np.testing.assert_allclose(np.concatenate(alone), together["embedding"], atol=1e-5)


def test_a_second_run_computes_nothing_and_changes_no_byte(project: Path) -> None:
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    assert counts()["computed"] == 10
    first = files_of(project / "targets.zarr")
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    assert (counts()["computed"], counts()["reused"]) == (0, 10)
    assert files_of(project / "targets.zarr") == first


def test_growing_computes_the_new_video_alone_and_ends_in_the_same_bytes(project: Path) -> None:
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    write_clips(project / "clips.zarr", names(6))
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    assert (counts()["computed"], counts()["reused"]) == (VIEWS, 10)
    grown = files_of(project / "targets.zarr")
    Pool.locate().root.rename(project / "elsewhere")
    extract(plan_of(project), project / "anew.zarr", RUNTIME)
    assert counts()["computed"] == 12
    assert files_of(project / "anew.zarr") == grown


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"dtype": "float16"},
        {"threads": 2},
    ],
)
def test_what_shapes_a_value_recomputes_every_row(project: Path, changes: dict[str, Any]) -> None:
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    extract(plan_of(project, **changes), project / "targets.zarr", RUNTIME)
    assert counts()["computed"] == 10


def test_another_teacher_recomputes_every_row_and_the_old_one_returns_from_the_pool(project: Path) -> None:
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    first = files_of(project / "targets.zarr")
    write_teacher(project / "teacher", seed=1)
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    assert counts()["computed"] == 10
    assert files_of(project / "targets.zarr") != first
    write_teacher(project / "teacher", seed=0)
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    assert counts()["computed"] == 0
    assert files_of(project / "targets.zarr") == first


def test_a_kind_added_later_leaves_the_others_files_alone(project: Path) -> None:
    extract(plan_of(project), project / "targets.zarr", RUNTIME)
    first = files_of(project / "targets.zarr")
    extract(
        plan_of(project, kinds=[*SETTINGS.kinds, "layers", "tokens"], layers=[0, 1], tokens_grid=2),
        project / "targets.zarr",
        RUNTIME,
    )
    now = files_of(project / "targets.zarr")
    kept = [name for name in first if name.startswith(tuple(SETTINGS.kinds))]
    assert kept
    assert all(now[name] == first[name] for name in kept)
    store = open_store(project / "targets.zarr")
    assert store.arrays["layers"].shape == (2, 32)
    assert store.arrays["tokens"].shape == (2, 2, 2, 32)


def test_a_failed_clip_is_a_failed_target_with_its_reason(project: Path) -> None:
    shutil.rmtree(project / "clips.zarr")
    write_clips(project / "clips.zarr", names(5), failed=["v001"])
    with pytest.raises(TooManyFailedError, match="no such file"):
        extract(plan_of(project), project / "targets.zarr", RUNTIME)
    assert counts()["computed"] == 8
    metrics = extract(plan_of(project, max_failed=1), project / "targets.zarr", RUNTIME)
    assert metrics["failed"] == VIEWS
    store = open_store(project / "targets.zarr")
    assert list(store.status[store.rows_of("v001")]) == [2, 2]


def test_a_wider_batch_has_the_same_rows(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extractor, "is_place_free", lambda *_: True)
    shutil.rmtree(project / "clips.zarr")
    write_clips(project / "clips.zarr", names(5), failed=["v001"])
    settings = {"max_failed": 1}
    extract(plan_of(project, **settings), project / "one.zarr", RUNTIME)
    extract(plan_of(project, videos_per_batch=3, **settings), project / "three.zarr", RUNTIME)
    assert counts()["computed"] == 8
    one, three = open_store(project / "one.zarr"), open_store(project / "three.zarr")
    rows = np.flatnonzero(np.asarray(one.status) == 1)
    np.testing.assert_allclose(one.read("logits", rows), three.read("logits", rows), atol=1e-5)
    assert list(one.status) == list(three.status)


def test_a_batch_in_which_rows_depend_on_their_place_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_place(self: Extractor, clips: np.ndarray, kinds: list[str]) -> dict[str, np.ndarray]:
        return {kind: np.arange(len(clips), dtype=np.float32)[:, None] for kind in kinds}

    monkeypatch.setattr(Extractor, "forward", by_place)
    with pytest.raises(TeacherError, match="a row's bits depend on its place"):
        extract(plan_of(project, videos_per_batch=2), project / "targets.zarr", RUNTIME)


def test_only_what_differs_from_the_default_is_in_the_fingerprint(project: Path) -> None:
    plain = target_specs(SETTINGS, load_teacher(project / "teacher"))[0].fingerprint
    assert not {"compiled", "videos_per_batch"} & plain.keys()
    settings = SETTINGS.model_copy(update={"compile": True, "videos_per_batch": 4})
    other = target_specs(settings, load_teacher(project / "teacher"))[0].fingerprint
    assert (other["compiled"], other["videos_per_batch"]) == (True, 4)
    assert other["batch_rule"] != plain["batch_rule"]


def test_weights_lowered_once_give_the_bits_of_autocast(project: Path) -> None:
    lowered = Extractor(plan_of(project, precision="bfloat16")).forward(pixels_of("v000"), SETTINGS.kinds)
    model = InternVideo2.from_pretrained(project / "teacher").eval()
    pixels = normalise(torch.from_numpy(pixels_of("v000")))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        output = model(pixels)
    for kind in SETTINGS.kinds:
        np.testing.assert_array_equal(lowered[kind], output[kind].float().numpy())


def test_two_workers_write_the_same_bytes_as_one(project: Path) -> None:
    extract(plan_of(project), project / "one.zarr", RUNTIME)
    Pool.locate().root.rename(project / "elsewhere")
    extract(plan_of(project), project / "two.zarr", RuntimeSettings(**(RUNTIME.model_dump() | {"workers": 2})))
    assert counts()["computed"] == 10
    assert files_of(project / "one.zarr") == files_of(project / "two.zarr")


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(project: Path) -> None:
    text = dry_run(plan_of(project), project / "targets.zarr", RUNTIME)
    assert "10 rows of 5 videos, 1,320 bytes" in text
    assert "to compute or adopt: 5" in text
    assert not (project / "targets.zarr").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kinds": ["layers"]}, "name blocks in extract.layers, 0 to 1"),
        ({"kinds": ["layers"], "layers": [7]}, r"got \[7\]; this teacher's blocks are 0 to 1"),
    ],
)
def test_a_kind_the_teacher_lacks_is_refused(project: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TeacherError, match=said):
        extract(plan_of(project, **changes), project / "targets.zarr", RUNTIME)


def test_a_missing_teacher_is_explained(project: Path) -> None:
    with pytest.raises(TeacherError, match="run the stage adapt first"):
        load_teacher(project / "nowhere")


def test_pooled_tokens_average_each_frames_grid() -> None:
    tokens = torch.arange(1 + 2 * 4 * 4, dtype=torch.float32)[None, :, None]
    pooled = pooled_tokens(tokens, (2, 4, 4), 2)
    assert pooled.shape == (1, 2, 2, 2, 1)
    assert pooled[0, 0, 0, 0, 0] == (1 + 2 + 5 + 6) / 4
    assert torch.equal(pooled_tokens(tokens, (2, 4, 4), None).flatten(), tokens[0, 1:, 0])


def test_the_tuner_measures_and_proposes(project: Path) -> None:
    proposal = propose(plan_of(project), sizes=(1, 2), rounds=1)
    assert [trial.videos_per_batch for trial in proposal.trials] == [1, 2]
    assert all(trial.clips_per_second > 0 for trial in proposal.trials)
    assert proposal.trials[0].place_free
    assert proposal.videos_per_batch in (1, 2)
    assert f"videos_per_batch: {proposal.videos_per_batch}" in proposal.text()


def test_the_tuner_keeps_to_the_smallest_batch_unless_a_larger_one_is_worth_it() -> None:
    def of(*rates: tuple[int, float, bool]) -> int:
        return Proposal([Trial(size, rate, free) for size, rate, free in rates]).videos_per_batch

    assert of((1, 100.0, True), (2, 103.0, True)) == 1
    assert of((1, 100.0, True), (2, 120.0, True), (4, 121.0, True)) == 2
    assert of((1, 100.0, True), (2, 120.0, False), (4, 110.0, True)) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "run the stage adapt first"),
        ("[" * 100_000, "run the stage adapt first"),
        ("[]", "got list; expected what adapt writes"),
        ("{}", "got no preprocessing, weights_sha256; expected what adapt writes"),
    ],
)
def test_a_damaged_description_of_a_teacher_is_explained(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "teacher.json").write_text(text, encoding="utf-8")
    with pytest.raises(TeacherError, match=said):
        load_teacher(tmp_path)


@pytest.mark.parametrize(
    ("version", "opens"), [(None, True), (TEACHER_FORMAT, True), (TEACHER_FORMAT + 1, False), ("x", False)]
)
def test_a_newer_teacher_is_refused_and_an_older_one_opens(tmp_path: Path, version: object, opens: bool) -> None:
    about = {"weights_sha256": "0", "preprocessing": {}}
    told = about if version is None else about | {"format_version": version}
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "teacher.json").write_text(json.dumps(told), encoding="utf-8")
    if opens:
        assert load_teacher(tmp_path).description == about
    else:
        with pytest.raises(TeacherError, match="update teachonce, or run adapt again"):
            load_teacher(tmp_path)
