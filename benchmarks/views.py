"""How many views of a video a student needs, and which: peers found that too few cached views overfit.

    python -m benchmarks.views                                        # 1, 2, 4 and 8 views of the student's view set
    python -m benchmarks.views --view-sets main resize --seeds 1 2 3
    python -m benchmarks.views --views 1 4 --epochs 6 --seeds 1
    python -m benchmarks.views --threads 1                            # beside another program

It needs what ``dvc repro adapt`` leaves. The asked view sets are rendered with as many views as the most that is asked,
and the teacher sees each view once; what the pool has is taken from it. A view set is one of ``render.view_sets``, or a
policy (``resize``, ``squash``, ``crop``, ``fragments``) over the same frames. Then the student of ``params.yaml`` is
trained per view set, number of views and seed on the first so many views, equally many steps; validation, calibration
and test have all views, so that only training differs. Kept in ``.teachonce/views``; a run that is stopped goes on.
Written: ``results/views/table.csv``, a row per training, and ``results/views/summary.md``.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.ledger import Ledger, Row, context_of, write_table
from benchmarks.settings import with_threads
from cache.errors import CacheError
from pipeline.aligned import AlignedData, DataPaths, VideoRows
from pipeline.errors import PipelineError, nearest
from pipeline.extraction import Plan, extract
from pipeline.manifest import DATA_ROOT, read_videos
from pipeline.metrics import bootstrap_srcc, paired_difference
from pipeline.params import Params, ViewSet, load_params
from pipeline.prediction import predict_videos
from pipeline.rendering import render, view_policies
from pipeline.students import StudentModel
from pipeline.training import distil
from pipeline.views import Policy
from stages import run_stage

SCRATCH = Path(".teachonce/views")
RESULTS = Path("results/views")
TEACHER = Path("models/teacher")
COLUMNS = ("view_set", "views", "seed", "srcc", "srcc_low", "srcc_high", "val_srcc", "train_srcc", "gap", "seconds")
_TRAIN_VIEWS = 2
"""Views of a training video that tell how well it is remembered."""


class ViewStudyError(PipelineError):
    """There is no such view set."""


def main() -> None:
    """Makes the cache of most views, trains what is missing, then writes and prints the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.views", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of views")
    parser.add_argument("--view-sets", nargs="+", help="names or policies; by default distill.view_set alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, help="of a training; by default distill.epochs")
    parser.add_argument("--threads", type=int, help="of a training, instead of distill.threads")
    arguments = parser.parse_args()
    if min(arguments.views) < 1:
        parser.error(f"--views: got {min(arguments.views)}; expected 1 or more")
    params = with_threads(load_params(), arguments.threads)
    if arguments.epochs is not None:
        params = params.model_copy(update={"distill": params.distill.model_copy(update={"epochs": arguments.epochs})})
    names = arguments.view_sets or [params.distill.view_set]
    params = with_view_sets(params, names, most=max(arguments.views))
    paths = make_cache(params, SCRATCH)
    ledger = Ledger(SCRATCH / "finished.json", context_of(params, paths))
    for name in names:
        for views in arguments.views:
            for seed in arguments.seeds:
                if not ledger.has(view_set=name, views=views, seed=seed):
                    print(f"== {name}, {views} views, seed {seed}", file=sys.stderr)
                    ledger.add([run(params, paths, view_set=name, views=views, seed=seed)])
                    write_table(RESULTS / "table.csv", COLUMNS, ledger.rows)
    write_table(RESULTS / "table.csv", COLUMNS, ledger.rows)
    text = summary(ledger.rows)
    (RESULTS / "summary.md").write_text(text, encoding="utf-8")
    print(text)


def with_view_sets(params: Params, names: Sequence[str], *, most: int) -> Params:
    """The same settings, rendering these view sets beside the teacher's, with so many views.

    Raises:
        ViewStudyError: a name is neither a view set nor a policy.
    """
    known = params.render.view_sets
    sets = {params.extract.view_set: known[params.extract.view_set]}
    for name in names:
        if name in known:
            sets[name] = known[name]
        elif name in get_args(Policy):
            sets[name] = view_set_of(params, name)
        else:
            choices = [*known, *get_args(Policy)]
            raise ViewStudyError(
                f"got the view set {name!r}; expected one of {', '.join(choices)}{nearest(name, choices)}"
            )
    settings = params.render.model_copy(update={"views_per_video": most, "view_sets": sets})
    return params.model_copy(update={"render": settings})


def view_set_of(params: Params, policy: str) -> ViewSet:
    """A policy over the frames of the student's view set, at its size."""
    view_set = params.distill.view_set
    like = view_policies(params.render, params.adapt.teacher)[view_set]
    fields: dict[str, Any] = {"sampling": like.sampling, "num_frames": like.num_frames, "size": like.size}
    if policy == "fragments":
        fields["grid"] = like.grid if like.grid > 1 else 7
    return ViewSet.parse({"policy": policy, **fields}, "view set")


def make_cache(params: Params, folder: Path) -> DataPaths:
    """Renders the view sets and extracts the targets of all views."""
    paths = replace(DataPaths(), clips=folder / "clips.zarr", targets=folder / "targets.zarr")
    folder.mkdir(parents=True, exist_ok=True)
    policies = view_policies(params.render, params.adapt.teacher)
    videos = read_videos(paths.videos)
    render(params.render, policies, videos, data_root=DATA_ROOT, store=paths.clips, runtime=params.runtime)
    plan = Plan(teacher=TEACHER, clips=paths.clips, settings=params.extract, device=params.runtime.device)
    extract(plan, paths.targets, params.runtime)
    return paths


def run(params: Params, paths: DataPaths, *, view_set: str, views: int, seed: int) -> Row:
    """One training, and its row with the columns ``COLUMNS``."""
    settings = params.distill.model_copy(update={"view_set": view_set, "views": views, "seed": seed})
    start = time.perf_counter()
    student = distil(settings, paths, device=params.runtime.device, scratch=SCRATCH / "distill").student
    seconds = time.perf_counter() - start
    data = AlignedData(paths, view_set)
    few = [replace(entry, rows=entry.rows[:_TRAIN_VIEWS]) for entry in data.split("train", labelled=True)]
    parts = {"train": few} | {split: data.split(split, labelled=True) for split in ("val", "test")}
    found = {
        name: _agreement(student, data, entries, name, params.evaluate.bootstrap) for name, entries in parts.items()
    }
    test = found["test"]
    return {
        "view_set": view_set,
        "views": views,
        "seed": seed,
        "srcc": test.value,
        "srcc_low": test.low,
        "srcc_high": test.high,
        "val_srcc": found["val"].value,
        "train_srcc": found["train"].value,
        "gap": found["train"].value - test.value,
        "seconds": round(seconds, 1),
    }


def _agreement(
    student: StudentModel, data: AlignedData, entries: Sequence[VideoRows], part: str, resamples: int
) -> Any:
    predicted = predict_videos(student, data, entries, description=f"views: {part}")
    mos = np.array([entry.label.mos for entry in entries], dtype=np.float64)
    contents = [entry.label.content for entry in entries]
    return bootstrap_srcc(predicted, mos, contents, num_resamples=resamples, seed=1)


def summary(rows: Sequence[Row]) -> str:
    """A Markdown table per view set, and what fewer views and other view sets cost, paired over seeds."""
    lines = []
    most = max(row["views"] for row in rows)
    sets = list(dict.fromkeys(row["view_set"] for row in rows))
    for name in sets:
        lines += [
            f"View set `{name}`",
            "",
            f"| views | seeds | test SRCC [95 %] | training SRCC | gap | minus {most} |",
        ]
        lines.append("|---" * 6 + "|")
        for views in sorted({row["views"] for row in rows if row["view_set"] == name}):
            own = _of(rows, name, views)
            srcc = paired_difference([row["srcc"] for row in own.values()], [0.0] * len(own))
            train, gap = (statistics.mean(row[key] for row in own.values()) for key in ("train_srcc", "gap"))
            less = "" if views == most else _paired(own, _of(rows, name, most))
            told = f"{srcc.value:.3f} [{srcc.low:.3f}, {srcc.high:.3f}]"
            lines.append(f"| {views} | {len(own)} | {told} | {train:.3f} | {gap:+.3f} | {less} |")
        lines.append("")
    for name in sets[1:]:
        difference = _paired(_of(rows, name, most), _of(rows, sets[0], most))
        lines += [f"`{name}` minus `{sets[0]}` at {most} views, paired over seeds: {difference or 'no seed in common'}"]
    return "\n".join(lines).rstrip() + "\n"


def _of(rows: Sequence[Row], view_set: str, views: int) -> dict[int, Row]:
    return {row["seed"]: row for row in rows if (row["view_set"], row["views"]) == (view_set, views)}


def _paired(one: dict[int, Row], other: dict[int, Row]) -> str:
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return ""
    found = paired_difference([one[seed]["srcc"] for seed in seeds], [other[seed]["srcc"] for seed in seeds])
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


if __name__ == "__main__":
    run_stage(main, CacheError)
