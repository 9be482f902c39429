"""What DVC links to its cache is replaced, never written into: the cache keeps the bytes that it has under a digest."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cache.build import Pool
from pipeline.core.files import replacing_folder, write_json, write_rows
from pipeline.core.manifest import ScoreScale, write_labels, write_scales, write_videos
from pipeline.models.internvideo2 import InternVideo2
from pipeline.preparation.datasets.shared.made import Made
from pipeline.preparation.overview import draw_overview
from pipeline.reporting import page
from pipeline.scoring.card import Additions, publish
from pipeline.students.distillation.step_times import StepTimes
from pipeline.teachers.adaptation import adapt as adaptation
from pipeline.teachers.adaptation.initial import teacher_config
from stages import distill as distill_stage
from stages.params import load_params
from tests.cache.toy import build, units
from tests.pipeline.scoring.test_card import RECORD
from tests.scoring_models import make_student
from tests.tiny_run import PARAMS, make_videos

VIDEOS, LABELS = make_videos()
SCALES = [{"embedded": ScoreScale(low=0.0, high=high, score_name="x")} for high in (100.0, 200.0)]
SINGLE: dict[str, Callable[[Path, int], None]] = {
    "metrics.json": lambda path, turn: write_json(path, {"rows": turn}),
    "curves.csv": lambda path, turn: write_rows(path, [{"epoch": turn}]),
    "videos.csv": lambda path, turn: write_videos(path, VIDEOS[turn:]),
    "labels.csv": lambda path, turn: write_labels(path, LABELS[turn:]),
    "dataset.json": lambda path, turn: write_scales(path, SCALES[turn]),
    "overview.png": lambda path, turn: draw_overview(path, VIDEOS[turn:], LABELS[turn:], SCALES[turn]),
}
"""File that a stage leaves → how it is written at the first and the second turn."""


def linked(place: Path, kept: Path) -> dict[Path, bytes]:
    """Does to an output what DVC does: each file gets a second name in the cache, and both are read-only."""
    kept.mkdir()
    files = sorted(path for path in [place, *place.rglob("*")] if path.is_file())
    assert files
    held = {}
    for number, path in enumerate(files):
        os.link(path, kept / str(number))
        path.chmod(0o444)
        held[path] = path.read_bytes()
    return held


def assert_kept(held: dict[Path, bytes], kept: Path, *, changed: str) -> None:
    """The cache has its old bytes; of what is in the workspace now, ``changed`` differs and no file is the cache's."""
    for number, (path, content) in enumerate(held.items()):
        assert (kept / str(number)).read_bytes() == content, path
        if path.exists():
            assert not path.samefile(kept / str(number)), path
        if path.name == changed:
            assert path.read_bytes() != content
    assert changed in {path.name for path in held}


@pytest.mark.parametrize("name", SINGLE)
def test_a_linked_file_keeps_its_bytes_when_its_stage_writes_anew(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / name
    SINGLE[name](path, 0)
    held = linked(path, tmp_path / "kept")
    SINGLE[name](path, 1)
    assert_kept(held, tmp_path / "kept", changed=name)
    assert os.listdir(path.parent) == [name]


def test_the_page_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(["first", "second"])
    monkeypatch.setattr(page, "load_run", lambda root: None)
    monkeypatch.setattr(page, "render_page", lambda run, settings: next(texts))
    path = tmp_path / "report/index.html"
    page.write_report(tmp_path, load_params(PARAMS).report, path)
    held = linked(path, tmp_path / "kept")
    page.write_report(tmp_path, load_params(PARAMS).report, path)
    assert_kept(held, tmp_path / "kept", changed="index.html")


def test_the_adapted_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        adaptation, "initial_teacher", lambda settings: InternVideo2(teacher_config("internvideo2_tiny"))
    )
    settings = load_params(PARAMS).adapt.model_copy(update={"epochs": 0})
    place = tmp_path / "models/teacher"
    told = {"clips": tmp_path, "tables": tmp_path, "teacher": place, "curves": tmp_path / "c.csv", "device": "cpu"}
    adaptation.adapt(settings, **told)
    held = linked(place, tmp_path / "kept")
    adaptation.adapt(settings.model_copy(update={"seed": settings.seed + 1}), **told)
    assert_kept(held, tmp_path / "kept", changed="model.safetensors")
    assert os.listdir(place.parent) == ["teacher"]


def test_the_student_and_its_published_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS.read_text(encoding="utf-8"), encoding="utf-8")
    seeds = iter([1, 2])

    def distill(*_: Any, **__: Any) -> SimpleNamespace:
        student = make_student(seed=next(seeds))
        student.config.provenance = RECORD
        return SimpleNamespace(
            is_main_process=True, student=student, curves=[], step_times=StepTimes(), metrics={}, forget=lambda: None
        )

    monkeypatch.setattr(distill_stage, "distill", distill)
    distill_stage.main()
    held = linked(tmp_path / "models/student", tmp_path / "kept")
    assert {path.name for path in held} == {"config.json", "model.safetensors"}
    config = make_student().config.to_dict() | {"provenance": RECORD}
    publish(distill_stage.STUDENT, tmp_path / "published", config, Additions(licences={"weights": "mit"}))
    assert all(path.stat().st_mode & 0o200 for path in (tmp_path / "published").iterdir())
    distill_stage.main()
    assert_kept(held, tmp_path / "kept", changed="model.safetensors")


def test_stores_and_videos(tmp_path: Path) -> None:
    store = tmp_path / "clips.zarr"
    build(store, units(3), pool=Pool(tmp_path / "pool"))
    held = linked(store, tmp_path / "kept")
    changed = [*units(2), replace(units(3)[2], source="other")]
    build(store, changed, pool=Pool(tmp_path / "other"))
    # What did not change is adopted, and may go on being one file with the cache.
    assert [(tmp_path / "kept" / str(number)).read_bytes() for number in range(len(held))] == list(held.values())
    assert any(path.read_bytes() != content for path, content in held.items())

    made = Made(tmp_path / ".teachonce")
    for key in ("aa", "bb"):
        made.keep(key, key.encode(), {})
    made.place("aa", tmp_path / "v.mp4")
    held = linked(tmp_path / "v.mp4", tmp_path / "video")
    made.keep("aa", b"made otherwise", {})
    made.place("bb", tmp_path / "v.mp4")
    assert_kept(held, tmp_path / "video", changed="v.mp4")


def test_whoever_may_read_the_new_folder_may_read_its_files(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "model") as folder:
        (folder / "secretive").write_bytes(b"x")
        (folder / "secretive").chmod(0o600)
    assert (tmp_path / "model/secretive").stat().st_mode & 0o777 == (tmp_path / "model").stat().st_mode & 0o666
