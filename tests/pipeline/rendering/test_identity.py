"""Everything that shapes a value is its identity: each part, changed alone, recomputes exactly the rows concerned."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.build import Pool, build_store
from cache.store import ArraySpec, FingerprintMismatchError, Job, Rows, Unit, open_store
from pipeline.core.manifest import Video
from pipeline.rendering import clips, policy
from pipeline.rendering import render as rendering
from pipeline.rendering.clips import Clips, RenderTask
from pipeline.rendering.render import render, view_policies
from pipeline.teachers.extraction import extract as extraction
from pipeline.teachers.extraction import targets
from pipeline.teachers.extraction.extract import extract
from pipeline.teachers.extraction.targets import target_specs
from pipeline.video import colour, resampling
from tests.pipeline.rendering.test_render import runtime_with, settings_with
from tests.pipeline.teachers.extraction.test_extract import RUNTIME, counts, plan_of, write_teacher
from tests.stores import SHAPE, digest_of, names, pixels_of

KINDS = ["embedding", "logits", "layers", "tokens"]
WHOLE = {"kinds": KINDS, "layers": [0, 1], "tokens_grid": 2}
VIDEOS = names(3)
Asked = set[tuple[str, tuple[str, ...]]]


@dataclass
class World:
    """A project with clips of three videos, a teacher and a pool, and what the teacher was asked for last.

    Attributes:
        folder: the project.
        asked: (video, arrays) of the last run.
    """

    folder: Path
    asked: Asked = field(default_factory=set)

    def write_clips(self, change: str = "", num_views: int = 2) -> None:
        """Clips of two view sets with the same pixels; ``change`` names what is different."""
        units = [
            Unit(name, digest_of(name + change * (change == "file")), digest_of(name), num_views) for name in VIDEOS
        ]

        def compute(jobs: Sequence[Job]) -> Iterator[tuple[Job, Rows]]:
            for job in jobs:
                pixels = pixels_of(job.unit.video_id, job.unit.num_rows)
                if change == "pixel" and job.unit.video_id == VIDEOS[1]:
                    pixels[-1, -1, -1, -1, -1] ^= 1
                yield job, Rows(dict.fromkeys(job.arrays, pixels))

        specs = [
            ArraySpec(name, "uint8", SHAPE, tuple(f"{name}_{d}" for d in "thwc"), {"change": change})
            for name in ("main", "other")
        ]
        build_store(self.folder / "clips.zarr", kind="clips", specs=specs, units=units, compute=compute, pool=None)

    def edit(self, name: str, **changes: Any) -> None:
        """Edits one of the teacher's JSON files."""
        path = self.folder / "teacher" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")

    def extract(self, **settings: Any) -> dict[str, int]:
        """Runs extract into the one store; the live counts."""
        self.asked = set()
        extract(plan_of(self.folder, **(WHOLE | settings)), self.folder / "targets.zarr", RUNTIME)
        return counts()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world after a first run."""
    world = World(tmp_path_factory.mktemp("world"))
    real = extraction._compute

    def told(plan: Any, jobs: Sequence[Job], runtime: Any) -> Any:
        world.asked = {(job.unit.video_id, tuple(job.arrays)) for job in jobs}
        return real(plan, jobs, runtime)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world.folder)
        patch.setenv("DVC_ROOT", str(world.folder))
        patch.setattr(extraction, "_compute", told)
        world.write_clips()
        write_teacher(world.folder / "teacher")
        assert world.extract() == {"rows": 6, "failed": 0, "computed": 6, "reused": 0, "adopted": 0}
        yield world


@pytest.fixture(autouse=True)
def restored(world: World, request: pytest.FixtureRequest) -> Iterator[None]:
    """After each change everything is as it was, and computes nothing."""
    yield
    if "world" in request.fixturenames and "change" in request.fixturenames:
        world.write_clips()
        write_teacher(world.folder / "teacher")


def _preprocessing(world: World) -> dict[str, Any]:
    told = json.loads((world.folder / "teacher/teacher.json").read_text())["preprocessing"]
    return told | {"mean": [0.5, 0.5, 0.5]}


ALL = {(name, tuple(KINDS)) for name in VIDEOS}
Change = Callable[[World, pytest.MonkeyPatch], dict[str, Any] | None]
FIELDS: dict[str, tuple[Change, Asked]] = {
    "weights_sha256": (lambda world, _: write_teacher(world.folder / "teacher", seed=1), ALL),
    "architecture": (lambda world, _: world.edit("config.json", hidden_act="gelu"), ALL),
    "preprocessing": (lambda world, _: world.edit("teacher.json", preprocessing=_preprocessing(world)), ALL),
    "precision": (lambda *_: {"precision": "bfloat16"}, ALL),
    "dtype": (lambda *_: {"dtype": "float16"}, ALL),
    "threads": (lambda *_: {"threads": 2}, ALL),
    "view_set": (lambda *_: {"view_set": "other"}, ALL),
    "batch_rule": (lambda _, patch: patch.setattr(targets, "BATCH_RULE", "another"), ALL),
    "version": (lambda _, patch: patch.setattr(targets, "VERSION", 1000), ALL),
    "kind": (lambda *_: {"kinds": [*KINDS, "embedding_normed"]}, {(name, ("embedding_normed",)) for name in VIDEOS}),
    "layers": (lambda *_: {"layers": [1, 0]}, {(name, ("layers",)) for name in VIDEOS}),
    "tokens_grid": (lambda *_: {"tokens_grid": 1}, {(name, ("tokens",)) for name in VIDEOS}),
}
"""Field of a target's fingerprint → how to change it alone, and what must be computed again."""
ROWS: dict[str, tuple[Change, Asked]] = {
    "one pixel of one view of one video": (lambda world, _: world.write_clips("pixel"), {(VIDEOS[1], tuple(KINDS))}),
    "number of views": (lambda world, _: world.write_clips("views", num_views=3), ALL),
    "video files, pixels as before": (lambda world, _: world.write_clips("file"), set()),
    "render policy, pixels as before": (lambda world, _: world.write_clips("decoder upgrade"), set()),
    "nothing": (lambda *_: None, set()),
}
"""What a row's key follows from, changed alone."""


@pytest.mark.parametrize(("change", "expected"), (FIELDS | ROWS).values(), ids=(FIELDS | ROWS).keys())
def test_a_change_recomputes_exactly_the_rows_concerned(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Change, expected: Asked
) -> None:
    told = world.extract(**(change(world, monkeypatch) or {}))
    assert world.asked == expected
    views = told["rows"] // len(VIDEOS)
    assert told["computed"] == views * len({video for video, _ in expected})
    assert told["reused"] == told["rows"] - told["computed"]


def test_every_field_of_a_fingerprint_is_changed_above(world: World) -> None:
    specs = target_specs((plan := plan_of(world.folder, **WHOLE)).settings, plan.teacher)
    assert {name for spec in specs for name in spec.fingerprint} == set(FIELDS)


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("kind", "dtype")])
def test_a_store_with_another_fingerprint_is_refused_field_by_field(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    world.extract()
    change = FIELDS[name][0]
    changed = change(world, monkeypatch) or {}
    plan = plan_of(world.folder, **(WHOLE | changed))
    asked = {spec.name: spec.fingerprint for spec in target_specs(plan.settings, plan.teacher)}
    with pytest.raises(FingerprintMismatchError) as refused:
        open_store(world.folder / "targets.zarr", asked)
    lines = str(refused.value).splitlines()[1:-1]
    assert lines
    assert all(line.split(".")[1].split(":")[0].split("[")[0] == name for line in lines), lines
    world.write_clips()
    write_teacher(world.folder / "teacher")


class Decoder:
    """Stands for the worker processes: remembers which view sets of which video were to be rendered."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, tuple[str, ...]]] = set()

    def map(self, function: object, tasks: Sequence[RenderTask]) -> Iterator[tuple[int, Clips]]:
        """As ``Mapper.map``, with black clips."""
        for index, task in enumerate(tasks):
            self.asked.add((task.path.stem, tuple(task.policies)))
            arrays = {
                name: np.zeros((task.num_views, policy.num_frames, policy.size, policy.size, 3), np.uint8)
                for name, policy in task.policies.items()
            }
            columns = {f"{name}_{column}": ["x"] * task.num_views for name in arrays for column in ("view", "decoder")}
            yield index, Clips(arrays, columns)


SETS: dict[str, dict[str, Any]] = {
    "main": {"policy": "fragments", "sampling": "uniform", "num_frames": 4, "size": 32, "grid": 2},
    "small": {"policy": "resize", "sampling": "uniform", "num_frames": 4, "size": 24},
}
BOTH = {(name, ("main", "small")) for name in "abc"}
ONE_SET = {(name, ("main",)) for name in "abc"}
Edit = Callable[[dict[str, Any], list[dict[str, Any]], pytest.MonkeyPatch], object]
RENDER: dict[str, tuple[Edit, set[tuple[str, tuple[str, ...]]]]] = {
    "policy": (lambda s, *_: s["view_sets"]["main"].update(policy="squash", grid=None), ONE_SET),
    "sampling": (lambda s, *_: s["view_sets"]["main"].update(sampling="middle"), ONE_SET),
    "num_frames": (lambda s, *_: s["view_sets"]["main"].update(num_frames=2), ONE_SET),
    "size": (lambda s, *_: s["view_sets"]["main"].update(size=64), ONE_SET),
    "grid": (lambda s, *_: s["view_sets"]["main"].update(grid=4), ONE_SET),
    "decoder": (lambda s, *_: s.update(decoder="pyav"), BOTH),
    "short": (lambda s, *_: s.update(short="repeat"), BOTH),
    "hdr": (lambda s, *_: s.update(hdr="refuse"), BOTH),
    "views_per_video": (lambda s, *_: s.update(views_per_video=3), BOTH),
    "max_failed": (lambda s, *_: s.update(max_failed=2), set()),
    "policy.VERSION": (lambda s, v, patch: patch.setattr(policy, "VERSION", 1000), BOTH),
    "resampling.VERSION": (lambda s, v, patch: patch.setattr(resampling, "VERSION", 1000), BOTH),
    "colour.VERSION": (lambda s, v, patch: patch.setattr(colour, "VERSION", 1000), BOTH),
    "colour.RULE": (lambda s, v, patch: patch.setattr(colour, "RULE", "another"), BOTH),
    "clips.VERSION": (lambda s, v, patch: patch.setattr(clips, "VERSION", 1000), BOTH),
    "one video's bytes": (lambda s, v, patch: v[1].update(sha256=digest_of("new")), {("b", ("main", "small"))}),
    "a video's name": (lambda s, v, patch: v[2].update(video_id="z"), set()),
    "a video's data set": (lambda s, v, patch: v[2].update(dataset="another"), set()),
    "size of a raw video": (lambda s, v, patch: v[3].update(width=64), {("d", ("main", "small"))}),
    "a view set removed": (lambda s, *_: s["view_sets"].pop("small"), set()),
}
"""What shapes clips, changed alone → the rows that are rendered again."""


@pytest.mark.parametrize(("edit", "expected"), RENDER.values(), ids=RENDER.keys())
def test_a_change_renders_exactly_the_rows_concerned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Edit, expected: set[tuple[str, tuple[str, ...]]]
) -> None:
    decoder = Decoder()
    monkeypatch.setattr(rendering, "make_workers", lambda *_, **__: decoder)
    told: dict[str, Any] = {"view_sets": {name: dict(view_set) for name, view_set in SETS.items()}}
    videos = [
        {"video_id": name, "path": f"{name}.{suffix}", "sha256": digest_of(name), "dataset": "x", "width": 96}
        for name, suffix in (("a", "mp4"), ("b", "mp4"), ("c", "mp4"), ("d", "yuv"))
    ]

    def run() -> int:
        decoder.asked = set()
        settings = settings_with(**told)
        rows = [
            Video(**(video | {"height": 64, "fps": 25.0, "num_frames": 9, "pix_fmt": "yuv420p"})) for video in videos
        ]
        policies = view_policies(settings, None)
        place = {"data_root": tmp_path, "store": tmp_path / "clips.zarr", "pool": Pool(tmp_path / "pool")}
        return render(settings, policies, rows, runtime=runtime_with(), **place).computed

    for video in videos:
        (tmp_path / video["path"]).touch()
    assert run() == 8
    edit(told, videos, monkeypatch)
    everything = {(video, sets) for video, sets in expected} | {
        ("d", sets) for _, sets in expected if len(expected) > 1
    }
    run()
    assert decoder.asked == everything
