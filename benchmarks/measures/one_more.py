"""One more video in a set of a thousand, against that video alone: its decode, its forward, the stages' start-up."""

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, Setting, at_most, timed, workshop
from benchmarks.material import compute_by, random_rows, table_row, units, write_teacher, write_videos
from cache.build import Pool, build_store
from cache.store import ArraySpec, Unit, open_store
from pipeline.core.files import file_digest
from pipeline.core.manifest import write_videos as write_table
from pipeline.core.registry import find
from pipeline.rendering.render import clip_columns, clip_specs, clip_units, view_policies
from pipeline.teachers.extraction.targets import target_specs, target_units
from pipeline.teachers.shared.saved import load_teacher
from stages.params import load_params

LIMIT = "the stages render and extract on a set of that one video, with an empty pool"
_ROOT = Path(__file__).parents[2]


def figures(setting: Setting) -> Iterator[Figure]:
    """``python -m stages.render`` and ``python -m stages.extract``, as DVC runs them, with the default settings."""
    count, rounds = setting.size(1000, 3), setting.fewer(2)
    videos = write_videos(setting.folder / "videos", rounds + 1)
    teacher = write_teacher(setting.folder / "teacher")
    set_of_many = setting.folder / "many"
    _fill(set_of_many, units(count), teacher)
    ours: dict[str, list[float]] = {"render": [], "extract": []}
    alone: dict[str, list[float]] = {"render": [], "extract": []}
    for turn, path in enumerate(videos):
        new = Unit(f"zz{turn}", file_digest(path), path.name, 1)
        single = setting.folder / f"alone {turn}"
        for project, old, seconds in ((single, [], alone), (set_of_many, units(count), ours)):
            _lay_out(project, old, [(new, path)], teacher)
            for stage, times in seconds.items():
                elapsed = _run(project, stage)
                if turn:
                    times.append(elapsed)
    both = [sum(pair) for pair in zip(*ours.values(), strict=True)]
    limit = [sum(pair) for pair in zip(*alone.values(), strict=True)]
    yield Figure(
        what=f"one more video in a set of {count}, render and extract",
        against="that video alone",
        ratios=[mine / theirs for mine, theirs in zip(both, limit, strict=True)],
        goal=at_most(1.5),
        detail={
            **{f"{stage}_seconds": statistics.median(times) for stage, times in ours.items()},
            **{f"alone_{stage}_seconds": statistics.median(times) for stage, times in alone.items()},
        },
    )


def _fill(project: Path, old: Sequence[Unit], teacher: Path) -> None:
    """Puts rows of videos that do not exist into the pool, under the very recipes of the stages."""
    params = load_params(_ROOT / "params.yaml")
    policies = view_policies(params.render, find("teachers", params.adapt.teacher).PREPROCESSING)
    specs = clip_specs(params.render, policies)
    videos = [table_row(unit) for unit in old]
    with workshop(project):
        _build("clips.zarr", specs, clip_units(videos, params.render.views_per_video), clip_columns(policies), "")
        clips = open_store("clips.zarr")
        wanted = target_units(clips, params.extract.view_set)
        _build("targets.zarr", target_specs(params.extract, load_teacher(teacher)), wanted, ["clip_digest"], "0" * 64)


def _build(path: str, specs: Sequence[ArraySpec], wanted: Sequence[Unit], columns: Sequence[str], text: str) -> None:
    compute: Any = compute_by(random_rows(specs), lambda unit, _: {name: [text] * unit.num_rows for name in columns})
    pool = Pool(Pool.locate().root, durable=False)
    build_store(path, kind="k", specs=specs, units=wanted, columns=columns, compute=compute, pool=pool)


def _lay_out(project: Path, old: Sequence[Unit], new: Sequence[tuple[Unit, Path]], teacher: Path) -> None:
    """A project before the stages run: DVC has removed their outputs."""
    data = project / "data"
    (data / "videos").mkdir(parents=True, exist_ok=True)
    (project / ".dvc").mkdir(exist_ok=True)
    for out in (data / "clips.zarr", data / "targets.zarr"):
        shutil.rmtree(out, ignore_errors=True)
    for _, path in new:
        shutil.copyfile(path, data / "videos" / path.name)
    rows = [table_row(unit) for unit in old] + [table_row(unit, path) for unit, path in new]
    write_table(data / "videos.csv", rows)
    shutil.copyfile(_ROOT / "params.yaml", project / "params.yaml")
    shutil.copytree(teacher, project / "models/teacher", dirs_exist_ok=True)


def _run(project: Path, stage: str) -> float:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "DVC_ROOT": str(project), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", f"stages.{stage}"]

    def run() -> None:
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{stage}: {done.stderr[-2000:]}")

    return timed(run)[0]
