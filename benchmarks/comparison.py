"""Every student on one cache: what the cached targets give each of them, and what each of them costs.

    dvc repro benchmarks/dvc.yaml                     # all students, then the table; trains only what has changed
    python -m benchmarks.comparison student qmamba    # one of them
    python -m benchmarks.comparison student qmamba --threads 1    # beside another program
    python -m benchmarks.comparison probes            # scikit-learn on the cached embeddings: seconds
    python -m benchmarks.comparison table
    python -m benchmarks.comparison ablation internvideo2_longer    # one thing changed, to find out why

A student is trained twice per seed, with the cached targets and on the scores alone, equally many steps, from the same
first values. It needs what ``dvc repro extract`` leaves, and runs no teacher. Which students, with which settings:
``benchmarks/students.yaml``. A run that is stopped goes on where it was
(``.teachonce/comparison``). Written: ``results/comparison/<student>.csv``, one row per seed and variant;
``results/comparison/table.csv`` and ``table.md``. An ablation is a student of that file with one thing changed; it is
no part of the pipeline, and its rows are ``results/comparison/ablations/<name>.csv``.
"""

import argparse
import csv
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.ledger import Ledger, context_of, write_table
from benchmarks.settings import with_threads, without_targets
from cache.errors import CacheError
from pipeline.aligned import AlignedData, DataPaths
from pipeline.evaluation import evaluate, metrics_of
from pipeline.metrics import paired_difference, srcc
from pipeline.params import DistillSettings, Params, load_params
from pipeline.prediction import predict_videos, srcc_with_interval, teacher_scores
from pipeline.probes import probe_all
from pipeline.students import StudentModel
from pipeline.training import distil
from stages import run_stage

RESULTS = Path("results/comparison")
SCRATCH = Path(".teachonce/comparison")
FINISHED = "finished.json"
PLAN = Path(__file__).with_name("students.yaml")
WITH, ALONE, PROBE = "with targets", "alone", "probe"
COLUMNS = (
    *("student", "seed", "variant", "srcc", "srcc_low", "srcc_high", "plcc", "val_srcc"),
    *("train_srcc", "train_fidelity", "test_fidelity"),
    *("parameters", "flops", "milliseconds", "training_seconds"),
)
TABLE = (
    *("predictor", "kind", "seeds", "srcc", "srcc_low", "srcc_high", "plcc", "gain", "gain_low", "gain_high"),
    *("train_fidelity", "test_fidelity", "parameters", "mflops_per_clip", "ms_per_clip", "training_seconds"),
)
Row = dict[str, Any]
_TIMED_CLIPS, _TIMED_ROUNDS = 8, 5


def main() -> None:
    """Trains one student, or joins what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("what", choices=["student", "ablation", "probes", "table"])
    parser.add_argument("name", nargs="?", help=f"a student or an ablation of {PLAN.name}")
    parser.add_argument("--threads", type=int, help="of a student's training, instead of distill.threads")
    arguments = parser.parse_args()
    plan = read_plan(PLAN)
    RESULTS.mkdir(parents=True, exist_ok=True)
    if arguments.what in ("probes", "table") and arguments.threads is not None:
        parser.error(f"got --threads with {arguments.what}, which trains no student; expected student NAME before it")
    if arguments.what == "probes":
        write_table(RESULTS / "probes.csv", COLUMNS, probe_rows(load_params()))
        return
    if arguments.what == "table":
        rows = read_rows(RESULTS / "probes.csv")
        rows += [row for name in plan["students"] for row in read_rows(RESULTS / f"{name}.csv")]
        table = comparison_table(rows)
        write_table(RESULTS / "table.csv", TABLE, table)
        (RESULTS / "table.md").write_text(markdown(table), encoding="utf-8")
        print(markdown(table))
        return
    section, folder = ("students", RESULTS) if arguments.what == "student" else ("ablations", RESULTS / "ablations")
    if arguments.name not in plan[section]:
        parser.error(f"got {arguments.name!r}; {PLAN.name} names {', '.join(plan[section])}")
    changes = plan[section][arguments.name]
    params, scratch = with_threads(load_params(), arguments.threads), SCRATCH / arguments.name
    rows = train_all(params, arguments.name, changes, plan["seeds"], scratch)
    write_table(folder / f"{arguments.name}.csv", COLUMNS, rows)
    if arguments.what == "ablation":
        print(markdown(comparison_table(rows)))
    (scratch / FINISHED).unlink(missing_ok=True)
    shutil.rmtree(scratch / "distill", ignore_errors=True)


def read_plan(path: Path) -> dict[str, Any]:
    """The seeds, and the settings of students and ablations beside those of ``params.yaml``."""
    plan: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return plan


def settings_of(params: Params, name: str, changes: dict[str, Any], seed: int) -> DistillSettings:
    """The section ``distill`` for one student: its name, seed and changes put in place.

    Args:
        params: the settings.
        name: of the student; of an ablation, whose changes name its ``student``.
        changes: fields of the section; losses and options beside those that are there.
        seed: of the training.
    """
    whole = params.distill.model_dump()
    beside = {field: whole[field] | changes.get(field, {}) for field in ("losses", "options")}
    return DistillSettings.model_validate(whole | {"student": name} | changes | beside | {"seed": seed})


def train_all(params: Params, name: str, changes: dict[str, Any], seeds: Sequence[int], scratch: Path) -> list[Row]:
    """Every seed of one student. What a stopped call finished is kept in ``scratch``.

    Returns:
        Rows with the columns ``COLUMNS``.
    """
    ledger = Ledger(scratch / FINISHED, context_of(params, DataPaths()) | {"changes": changes})
    for seed in seeds:
        for variant in (WITH, ALONE):
            if not ledger.has(seed=seed, variant=variant):
                ledger.add(list(train_one(params, name, changes, seed, variant, scratch / "distill")))
    order = {(seed, variant): place for place, (seed, variant) in enumerate(product(seeds, (WITH, ALONE)))}
    return sorted(
        (row for row in ledger.rows if (row["seed"], row["variant"]) in order),
        key=lambda row: order[row["seed"], row["variant"]],
    )


def train_one(
    params: Params, name: str, changes: dict[str, Any], seed: int, variant: str, scratch: Path
) -> Iterator[Row]:
    """One training; with the cached targets also the teacher's row of this test split.

    Yields:
        Rows with the columns ``COLUMNS``.
    """
    paths = DataPaths()
    settings = settings_of(params, name, changes, seed)
    weights = settings.losses if variant == WITH else without_targets(settings.losses)
    print(f"== {name}, seed {seed}, {variant}", file=sys.stderr)
    start = time.perf_counter()
    chosen = settings.model_copy(update={"losses": weights})
    result = distil(chosen, paths, device=params.runtime.device, scratch=scratch)
    seconds, student = time.perf_counter() - start, result.student
    with tempfile.TemporaryDirectory(prefix="comparison-") as model:
        student.save_pretrained(model)
        metrics = evaluate(params.evaluate, paths, Path(model), device=params.runtime.device).metrics
    cost = {
        "parameters": student.num_parameters(),
        "flops": student.flops(),
        "milliseconds": milliseconds_per_clip(student),
        "training_seconds": seconds,
    }
    measured = _agreement(metrics["student"]) | {"val_srcc": result.metrics["val_srcc"]}
    measured |= fit_and_fidelity(student, AlignedData(paths, settings.view_set))
    yield {"student": name, "seed": seed, "variant": variant} | measured | cost
    if variant == WITH:
        yield {"student": "teacher", "seed": seed, "variant": WITH} | _agreement(metrics["teacher"])


def fit_and_fidelity(student: StudentModel, data: AlignedData) -> Row:
    """SRCC with the scores of the training videos, and with the teacher's scores of training and test videos.

    A student may follow its teacher on the clips that both have seen and not beyond; then more clips would help it, and
    neither another loss nor a better teacher.

    Ref: Stanton et al., "Does Knowledge Distillation Really Work?" (NeurIPS 2021), section 3, for fidelity.
    """
    found: Row = {}
    for split in ("train", "test"):
        entries = data.split(split)
        scores = predict_videos(student, data, entries, description=f"comparison: {split}")
        teacher = teacher_scores(data, entries)
        if teacher is not None:
            found[f"{split}_fidelity"] = srcc(scores, teacher)
        if split == "train":
            of_video = dict(zip((entry.video.video_id for entry in entries), scores, strict=True))
            labelled = data.split(split, labelled=True)
            values = np.array([of_video[entry.video.video_id] for entry in labelled])
            found["train_srcc"] = srcc_with_interval(labelled, values, seed=0).value
    return found


def probe_rows(params: Params) -> list[Row]:
    """Every probe on the cached embeddings, fitted on the labelled training videos, on the test split.

    Returns:
        Rows with the columns ``COLUMNS``; a probe draws nothing, so its seed is 0.
    """
    data = AlignedData(DataPaths(), params.distill.view_set)
    test = [entry for entry in data.split("test") if entry.label.mos is not None]
    return [
        {"student": name, "seed": 0, "variant": PROBE} | _agreement(metrics_of(test, values, params.evaluate))
        for name, values in probe_all(data, test).items()
    ]


def milliseconds_per_clip(student: StudentModel) -> float:
    """Median time of one clip's forward pass, in small batches, on the CPU with the threads that torch has."""
    clips = torch.zeros(_TIMED_CLIPS, *student.config.clip_shape, dtype=torch.uint8)
    times = []
    with torch.inference_mode():
        student(clips)
        for _ in range(_TIMED_ROUNDS):
            start = time.perf_counter()
            student(clips)
            times.append((time.perf_counter() - start) / _TIMED_CLIPS * 1000.0)
    return statistics.median(times)


def comparison_table(rows: Sequence[Row]) -> list[Row]:
    """One row for the teacher and one per probe and student, in the order of the rows.

    The 95 % interval of a student is that of its mean over seeds; the teacher and the probes, which are the same for
    every seed, have the interval of a bootstrap over the contents of the test split.
    """
    table = []
    for name in dict.fromkeys(["teacher", *(row["student"] for row in rows)]):
        own = [row for row in rows if row["student"] == name]
        taught = {row["seed"]: row for row in own if row["variant"] in (WITH, PROBE)}
        alone = {row["seed"]: row for row in own if row["variant"] == ALONE}
        srcc = paired_difference([row["srcc"] for row in taught.values()], [0.0] * len(taught))
        entry: Row = {
            "predictor": name,
            "kind": "probe" if own[0]["variant"] == PROBE else kind(name),
            "seeds": len(taught),
            "srcc": srcc.value,
            "srcc_low": srcc.low,
            "srcc_high": srcc.high,
            "plcc": statistics.mean(row["plcc"] for row in taught.values()),
        }
        if entry["kind"] in ("teacher", "probe"):
            entry |= {end: own[0][end] for end in ("srcc_low", "srcc_high")}
        if alone:
            gain = paired_difference(*([of[seed]["srcc"] for seed in taught] for of in (taught, alone)))
            entry |= {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
            entry |= {
                name: statistics.mean(row[name] for row in taught.values())
                for name in ("train_fidelity", "test_fidelity")
                if all(name in row for row in taught.values())
            }
            entry |= {
                "parameters": int(own[0]["parameters"]),
                "mflops_per_clip": own[0]["flops"] / 1e6,
                "ms_per_clip": statistics.median(row["milliseconds"] for row in own),
                "training_seconds": statistics.median(row["training_seconds"] for row in taught.values()),
            }
        table.append(entry)
    return table


def kind(name: str) -> str:
    """In InternVQA's terms: the teacher, a student of its own architecture, or one of another."""
    if name == "teacher":
        return "teacher"
    return "homologous" if name.startswith("internvideo2") else "heterogeneous"


def markdown(table: Sequence[Row]) -> str:
    """The table as the README shows it."""
    head = ["predictor", "kind", "test SRCC [95 %]", "PLCC", "gain over alone [95 %]", "fidelity: training, test"]
    head += ["parameters", "MFLOPs per clip", "ms per clip", "training"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in table:
        cells = [row["predictor"], row["kind"], _interval(row, "srcc", ".3f"), f"{row['plcc']:.3f}"]
        if "gain" in row:
            cells += [
                _interval(row, "gain", "+.3f"),
                ", ".join(f"{row[name]:.3f}" for name in ("train_fidelity", "test_fidelity") if name in row),
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['mflops_per_clip']:.0f}",
            ]
            cells += [f"{row['ms_per_clip']:.1f}", f"{row['training_seconds']:.0f} s"]
        else:
            cells += [""] * 6
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def read_rows(path: Path) -> list[Row]:
    """What ``student`` wrote, numbers as numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: value if name in ("student", "variant") else float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def _agreement(values: dict[str, float]) -> Row:
    return {name: values[name] for name in ("srcc", "srcc_low", "srcc_high")} | {"plcc": values["plcc_logistic4"]}


def _interval(row: Row, name: str, form: str) -> str:
    return f"{row[name]:{form}} [{row[f'{name}_low']:{form}}, {row[f'{name}_high']:{form}}]"


if __name__ == "__main__":
    run_stage(main, CacheError)
