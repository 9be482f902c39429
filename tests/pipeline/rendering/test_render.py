"""Rendering: the store is a function of the videos and the settings, whoever computes it and in how many steps."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.build import Pool
from cache.store import BuildReport, TooManyFailedError, open_store
from pipeline.core.manifest import ManifestError, Video
from pipeline.core.registry import find
from pipeline.core.settings import RuntimeSettings, SettingsError
from pipeline.rendering.policy import ViewPolicy
from pipeline.rendering.render import clip_specs, render, view_policies
from pipeline.rendering.settings import RenderSettings
from pipeline.rendering.views import ViewParameters
from tests.tables import row_of
from tests.videos import index_of, write_raw, write_video

MAIN = {"policy": "fragments", "sampling": "uniform", "num_frames": 4, "size": 32, "grid": 2}
SMALL = {"policy": "resize", "sampling": "uniform", "num_frames": 4, "size": 24}
SETTINGS: dict[str, Any] = {
    "decoder": "auto",
    "short": "fail",
    "views_per_video": 2,
    "view_sets": {"main": MAIN},
    "max_failed": 0,
}
RUNTIME: dict[str, Any] = {
    "workers": 1,
    "device": "cpu",
    "scheduler": None,
    "decode_timeout_seconds": 60.0,
    "decode_memory_bytes": 1 << 32,
}


def settings_with(**changed: Any) -> RenderSettings:
    return RenderSettings.parse(SETTINGS | changed, "render")


def runtime_with(**changed: Any) -> RuntimeSettings:
    fields = RuntimeSettings.model_fields
    return RuntimeSettings.parse({key: value for key, value in (RUNTIME | changed).items() if key in fields}, "runtime")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with four videos."""
    root = tmp_path_factory.mktemp("data")
    write_video(root / "a.mp4", texture=True)
    write_video(root / "b.webm", codec="libvpx-vp9", num_frames=12)
    write_video(root / "c.mkv", codec="libx265", num_frames=9, width=80)
    write_raw(root / "d_96x64_10bit.yuv", depth=10, num_frames=6)
    return root


def manifest_of(root: Path) -> list[Video]:
    files = sorted(path for path in root.iterdir() if path.suffix in (".mp4", ".mkv", ".webm", ".yuv"))
    return [row_of(path, root) for path in files]


class Project:
    """One place to render in, with a pool of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.store, self.pool = root, folder / "clips.zarr", Pool(folder / "pool")
        self.videos = manifest_of(root)

    def render(self, runtime: RuntimeSettings | None = None, **changed: Any) -> BuildReport:
        settings = settings_with(**changed)
        return render(
            settings,
            view_policies(settings, None),
            self.videos,
            data_root=self.root,
            store=self.store,
            runtime=runtime or runtime_with(),
            pool=self.pool,
        )


@pytest.fixture
def project(source: Path, tmp_path: Path) -> Project:
    return Project(source, tmp_path)


@pytest.fixture
def copied(source: Path, tmp_path: Path) -> Project:
    """A project whose videos may be changed."""
    root = tmp_path / "data"
    root.mkdir()
    for path in source.iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    return Project(root, tmp_path)


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_rows_hold_the_views_in_order(project: Project) -> None:
    report = project.render(view_sets={"main": MAIN, "small": SMALL})
    store = open_store(project.store)
    assert (report.rows, report.failed, report.computed) == (8, 0, 8)
    assert store.video_ids == [name for name in ("a", "b", "c", "d_96x64_10bit") for _ in range(2)]
    assert list(store.views) == [0, 1] * 4
    assert store.read("main", [0]).shape == (1, 4, 32, 32, 3)
    assert store.read("small", [0]).shape == (1, 4, 24, 24, 3)
    assert store.verify() == []
    for row, text in enumerate(store.column("small_view")):
        view = ViewParameters.from_json(text)
        assert view.frames == ViewParameters.from_json(store.column("main_view")[row]).frames
        if store.video_ids[row] == "b" and store.views[row] == 0:
            assert [index_of(frame) for frame in store.read("small", [row])[0]]
    decoders = {name.split()[0] for name in store.column("main_decoder")}
    assert "yuv" in decoders
    assert decoders <= {"yuv", "pyav", "decord"}


def test_one_worker_and_four_write_the_same_bytes(source: Path, tmp_path: Path) -> None:
    trees = []
    for workers in (1, 4):
        (tmp_path / str(workers)).mkdir()
        project = Project(source, tmp_path / str(workers))
        project.render(runtime_with(workers=workers))
        trees.append(tree(project.store))
    assert trees[0] == trees[1]


def test_pyav_gives_the_pixels_that_auto_gives(source: Path, tmp_path: Path) -> None:
    clips = []
    for decoder in ("auto", "pyav"):
        (tmp_path / decoder).mkdir()
        project = Project(source, tmp_path / decoder)
        project.videos = project.videos[:3]
        project.render(decoder=decoder)
        clips.append(open_store(project.store).read("main", list(range(6))))
    np.testing.assert_array_equal(clips[0], clips[1])


def test_nothing_is_done_twice(project: Project) -> None:
    project.render()
    before = tree(project.store)
    again = project.render()
    assert (again.computed, again.reused + again.adopted) == (0, 8)
    assert tree(project.store) == before
    added = project.render(view_sets={"main": MAIN, "small": SMALL})
    assert added.computed == 8
    store = open_store(project.store)
    direct = Project(project.root, project.store.parent / "direct")
    direct.store.parent.mkdir()
    direct.render(view_sets={"main": MAIN, "small": SMALL})
    assert open_store(direct.store).digest() == store.digest()


def test_a_growing_set_computes_the_new_video_only(project: Project) -> None:
    videos = project.videos
    project.videos = videos[:3]
    project.render()
    project.videos = videos
    report = project.render()
    assert report.computed == 2


def test_a_file_that_changed_is_a_failed_row(copied: Project) -> None:
    write_video(copied.root / "a.mp4", num_frames=10)
    report = copied.render(max_failed=1)
    store = open_store(copied.store)
    assert (report.rows, report.failed) == (8, 2)
    assert list(store.status) == [2, 2, 1, 1, 1, 1, 1, 1]
    assert "not the one in the manifest" in store.reasons[0]
    assert "run prepare again" in report.failures["a"]


def test_failures_are_counted_against_the_limit_after_the_others_are_done(copied: Project) -> None:
    path = copied.root / "b.webm"
    path.rename(copied.root / "aside")
    with pytest.raises(TooManyFailedError, match="b: cannot read the file"):
        copied.render()
    assert not copied.store.exists()
    (copied.root / "aside").rename(path)
    assert copied.render().computed == 2


def test_a_video_too_short_fails_or_repeats(project: Project) -> None:
    longer = MAIN | {"num_frames": 8}
    report = project.render(view_sets={"main": longer}, max_failed=1)
    assert list(report.failures) == ["d_96x64_10bit"]
    assert "its view needs 8" in report.failures["d_96x64_10bit"]
    assert project.render(view_sets={"main": longer}, short="repeat").failed == 0


def test_a_video_that_takes_too_long_is_a_failed_row(copied: Project) -> None:
    report = copied.render(runtime_with(decode_timeout_seconds=0.001), max_failed=4)
    assert set(report.failures.values()) == {"took longer than 0.001 s"}


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_regular_file_inside_the_root_is_a_failed_row(copied: Project, kind: str) -> None:
    path = copied.root / "a.mp4"
    outside = path.read_bytes()
    path.unlink()
    make: dict[str, Callable[[], object]] = {
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(copied.root.parent / "outside.mp4"),
    }
    (copied.root.parent / "outside.mp4").write_bytes(outside)
    make[kind]()
    report = copied.render(max_failed=1)
    assert list(report.failures) == ["a"]


def test_an_empty_manifest_is_refused(project: Project) -> None:
    project.videos = []
    with pytest.raises(ManifestError, match="no videos"):
        project.render()


def test_whatever_shapes_pixels_is_in_the_fingerprint() -> None:
    base = settings_with()
    seen = {spec_digest(base)}
    for changed in (
        {"decoder": "pyav"},
        {"short": "repeat"},
        {"view_sets": {"main": MAIN | {"size": 64}}},
        {"view_sets": {"main": MAIN | {"grid": 4}}},
        {"view_sets": {"main": MAIN | {"num_frames": 8}}},
        {"view_sets": {"main": MAIN | {"sampling": "middle"}}},
        {"view_sets": {"main": SMALL}},
    ):
        seen.add(spec_digest(settings_with(**changed)))
    assert len(seen) == 8
    assert spec_digest(settings_with(max_failed=3, views_per_video=9)) in seen


def spec_digest(settings: RenderSettings) -> str:
    return clip_specs(settings, view_policies(settings, None))[0].recipe


def test_the_teachers_policy_is_its_preprocessing() -> None:
    policies = view_policies(
        settings_with(view_sets={"main": {"policy": "teacher"}, "long": {"policy": "teacher", "num_frames": 16}}),
        find("teachers", "internvideo2_tiny").PREPROCESSING,
    )
    assert policies["main"] == ViewPolicy(
        policy="fragments", sampling="uniform", num_frames=8, size=112, grid=4, antialias=False
    )
    assert policies["long"].num_frames == 16
    assert view_policies(
        settings_with(view_sets={"main": {"policy": "teacher"}}), find("teachers", "internvideo2_1b").PREPROCESSING
    )["main"] == ViewPolicy(policy="resize", sampling="uniform", num_frames=8, size=224, antialias=False)


@pytest.mark.parametrize(
    ("view_set", "message"),
    [
        ({"policy": "resize", "sampling": "uniform", "num_frames": 4}, "render.view_sets.main.size: missing"),
        ({"policy": "crop", "size": 32, "num_frames": 4}, "render.view_sets.main.sampling: missing"),
        ({key: value for key, value in MAIN.items() if key != "grid"}, "render.view_sets.main.grid: missing"),
        (MAIN | {"grid": 3}, "size: got 32; expected a multiple of grid \\(3\\), such as 30"),
        (SMALL | {"grid": 2}, "only the policy fragments has a grid"),
    ],
)
def test_a_view_set_that_makes_no_sense_is_named(view_set: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        view_policies(settings_with(view_sets={"main": view_set}), None)
