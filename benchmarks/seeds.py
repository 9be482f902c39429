"""Several seeds, paired: teacher, student with and without the cached targets, every baseline, and two controls.

A seed draws the split by content, the adaptation of the teacher and the training of the student; within a seed the two
students differ in nothing but the losses that read targets. With ``--fractions`` the scores of some training contents
are hidden from teacher, students and baselines alike, while their videos and targets stay. ``--controls`` adds a
student whose targets are another video's, and one of a teacher whose trunk has its first values. With ``--data-sets``
every seed draws the data set as well: the same generator and settings, other contents.

    python -m benchmarks.seeds --seeds 1 2 3
    python -m benchmarks.seeds --seeds 1 2 3 --fractions 0.1x10 0.2 0.5 1.0    # ten seeds at 0.1
    python -m benchmarks.seeds --seeds 1 2 3 --controls
    python -m benchmarks.seeds --seeds 1 2 3 --student internvideo2            # in folders of its name
    python -m benchmarks.seeds --data-sets --seeds 1 2 3 --fractions 0.1 1.0   # three data sets
    python -m benchmarks.seeds --seeds 1 2 3 --workers 2 --threads 1           # two runs at once on two cores

It needs what ``dvc repro render`` leaves; ``--data-sets`` needs nothing. Written: ``results/seeds/table.csv``, one row
per fraction, seed and predictor; ``results/seeds/summary.md``; both in ``results/data_sets/`` with ``--data-sets``;
with several fractions also ``results/few_labels/curve.csv``, which the report draws: the last study's, whose last
column says whether it is of splits or of data sets. Of a student that was named, all is in a folder of its name. What
was finished with the same settings, data and code is kept in ``.teachonce/seeds`` or ``.teachonce/data_sets``, whatever
fractions and seeds a call asks for; the rest is computed.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from benchmarks.controls import save_first_values, shuffle_targets
from benchmarks.generated import DATASET, generate
from benchmarks.ledger import Ledger, Row, context_of, context_without_data, digests_of, write_table
from benchmarks.settings import with_threads, without_targets
from cache.errors import CacheError
from pipeline.adaptation import adapt, first_weights
from pipeline.aligned import DataPaths
from pipeline.evaluation import evaluate
from pipeline.extraction import Plan, extract
from pipeline.manifest import DATA_ROOT, Label, read_labels, write_labels
from pipeline.metrics import paired_difference
from pipeline.params import Params, load_params
from pipeline.preparation import labelled_contents, split_contents
from pipeline.registry import find
from pipeline.training import distil
from stages import run_stage

ALONE = "student_alone"
SHUFFLED, FIRST_VALUES = "shuffled_targets", "first_values_teacher"
"""Predictors of the controls: students, and the teacher of the second."""
SCRATCH, DATA_SETS_SCRATCH = Path(".teachonce/seeds"), Path(".teachonce/data_sets")
RESULTS, DATA_SETS_RESULTS = Path("results/seeds"), Path("results/data_sets")
CURVE = Path("results/few_labels/curve.csv")
COLUMNS = ("fraction", "seed", "predictor", "srcc", "srcc_low", "srcc_high", "krcc", "plcc_logistic4", "rmse_logistic4")
CURVE_COLUMNS = ("labelled_fraction", "predictor", "srcc", "over_alone", "over_alone_low", "over_alone_high")


@dataclass(frozen=True)
class Task:
    """One run: a fraction of the labels, a seed, and whether the controls are run instead of the students."""

    fraction: float
    seed: int
    controls: bool = False

    def done_in(self, rows: Sequence[Row]) -> bool:
        """Whether the rows hold its result."""
        wanted = {FIRST_VALUES} if self.controls else {ALONE}
        found = {row["predictor"] for row in rows if (row["fraction"], row["seed"]) == (self.fraction, self.seed)}
        return wanted <= found


def main() -> None:
    """Runs every combination of fraction and seed, then writes and prints the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seeds", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--fractions", nargs="+", default=["1.0"], help="0.1, or 0.1x10 for ten seeds from the first on"
    )
    parser.add_argument("--data-sets", action="store_true", help="every seed draws a data set of the generator as well")
    parser.add_argument("--controls", action="store_true", help="shuffled targets, and a teacher with first values")
    parser.add_argument("--student", help="a file of pipeline/students, instead of that of params.yaml")
    parser.add_argument("--workers", type=int, default=1, help="runs at once")
    parser.add_argument("--threads", type=int, help="of adapt and distill, instead of those of params.yaml")
    arguments = parser.parse_args()
    params = with_student(with_threads(load_params(), arguments.threads), arguments.student)
    several = arguments.data_sets
    folder = (DATA_SETS_RESULTS if several else RESULTS) / (arguments.student or "")
    scratch = (DATA_SETS_SCRATCH if several else SCRATCH) / (arguments.student or "")
    curve = folder / "curve.csv" if arguments.student else CURVE
    tasks = tasks_of(arguments.fractions, arguments.seeds, arguments.controls)
    if not tasks:
        parser.error(f"--fractions: got {' '.join(arguments.fractions)}; expected one seed or more")
    whole = replace(DataPaths(), targets=Path("no targets of its own"))
    context = context_without_data(params) if several else context_of(params, whole)
    context["first weights"] = digests_of(first_weights(params.adapt))
    ledger = Ledger(scratch / "finished.json", context)
    data = {task.seed: DATA_ROOT for task in tasks}
    if several:
        data = {seed: DATA_SETS_SCRATCH / f"{seed}" for seed in data}
        make_data_sets(params, {task.seed: data[task.seed] for task in tasks if not task.done_in(ledger.rows)})
    run_missing(params, tasks, ledger, folder / "table.csv", workers=arguments.workers, data=data)
    rows = in_order(ledger.rows)
    write_table(folder / "table.csv", COLUMNS, rows)
    text = summary(rows)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    print(text)
    if len({row["fraction"] for row in rows}) > 1:
        drawn = "data_sets" if several else "splits"
        write_table(curve, (*CURVE_COLUMNS, drawn), few_label_curve(rows, drawn))
        if curve == CURVE:
            print(f"{CURVE} is of these {drawn.replace('_', ' ')} now; `dvc repro -f -s report` draws it")


def make_data_sets(params: Params, folders: Mapping[int, Path]) -> None:
    """Makes the generator's data set of each seed in its folder, with the settings of ``params.yaml`` otherwise."""
    for seed, folder in folders.items():
        print(f"== data set {seed}", file=sys.stderr)
        generate(params, folder, {**params.prepare.options.get(DATASET, {}), "seed": seed})


def run_missing(
    params: Params, tasks: Sequence[Task], ledger: Ledger, table: Path, *, workers: int, data: Mapping[int, Path]
) -> None:
    """Runs what the ledger lacks, each seed on its data, and writes the table anew after each."""
    missing = [task for task in tasks if not task.done_in(ledger.rows)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        running = {pool.submit(run, params, task, data[task.seed]): task for task in missing}
        for done in as_completed(running):
            ledger.add(done.result())
            write_table(table, COLUMNS, in_order(ledger.rows))
            print(f"== finished: {running[done]}", file=sys.stderr)


def end_with_parent() -> None:
    """Lets this worker end as soon as the process that started it has, however that ended; a run takes minutes."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def in_order(rows: Sequence[Row]) -> list[Row]:
    """The rows by fraction and seed, whichever was finished first."""
    return sorted(rows, key=lambda row: (row["fraction"], row["seed"]))


def with_student(params: Params, name: str | None) -> Params:
    """The same settings with another student.

    Raises:
        UnknownName: there is no such student.
    """
    if name is None:
        return params
    find("students", name)
    return params.model_copy(update={"distill": params.distill.model_copy(update={"student": name})})


def tasks_of(fractions: Sequence[str], seeds: Sequence[int], controls: bool) -> list[Task]:
    """The runs of fractions that are written ``0.1`` or ``0.1x10``; one that is named twice is one run."""
    tasks = []
    for fraction in fractions:
        share, _, count = fraction.partition("x")
        chosen = range(seeds[0], seeds[0] + int(count)) if count else seeds
        kinds = [False, True] if controls else [False]
        tasks += [Task(float(share), seed, kind) for seed in chosen for kind in kinds]
    return list(dict.fromkeys(tasks))


def run(params: Params, task: Task, data: Path = DATA_ROOT) -> list[Row]:
    """One run: adapt, extract, students, evaluate.

    Args:
        params: the settings; seeds and the labelled fraction are replaced.
        task: what is run.
        data: the folder of the data set.

    Returns:
        One row per predictor, with the columns ``COLUMNS``.
    """
    with redrawn(params, seed=task.seed, fraction=task.fraction, data=data) as paths:
        run_one = _controls if task.controls else _students
        return [{"fraction": task.fraction, "seed": task.seed, **row} for row in run_one(params, task.seed, paths)]


@contextmanager
def redrawn(params: Params, *, seed: int, fraction: float, data: Path = DATA_ROOT) -> Iterator[DataPaths]:
    """A folder with the tables as another seed splits and labels them; targets of its own can be put there."""
    with tempfile.TemporaryDirectory(prefix="seeds-") as scratch:
        folder = Path(scratch)
        for name in ("videos.csv", "dataset.json"):
            (folder / name).write_bytes((data / name).read_bytes())
        labels = relabelled(read_labels(data / "labels.csv"), params, seed=seed, fraction=fraction)
        write_labels(folder / "labels.csv", labels)
        whole = DataPaths.below(data)
        yield replace(DataPaths.below(folder), videos=whole.videos, clips=whole.clips)


def _students(params: Params, seed: int, paths: DataPaths) -> Iterator[Row]:
    """The student with and without targets, and everything that they are compared with."""
    teach(params, seed, paths)
    losses = params.distill.losses
    whole = score(params, seed, paths, losses)
    yield from (_row(predictor, values) for predictor, values in whole.items())
    yield _row(ALONE, score(params, seed, paths, without_targets(losses))["student"])


def _controls(params: Params, seed: int, paths: DataPaths) -> Iterator[Row]:
    """A student whose targets are another video's, and one whose teacher began with its first values."""
    teach(params, seed, paths)
    shuffled = replace(paths, targets=paths.targets.with_name("shuffled.zarr"))
    shuffle_targets(paths.targets, shuffled.targets, seed=seed)
    yield _row(SHUFFLED, score(params, seed, shuffled, params.distill.losses)["student"])
    folder = save_first_values(params.adapt, paths.targets.with_name("first-values"))
    beginner = params.model_copy(update={"adapt": params.adapt.model_copy(update={"checkpoint": str(folder)})})
    other = replace(paths, targets=paths.targets.with_name("first-values.zarr"))
    teach(beginner, seed, other)
    metrics = score(params, seed, other, params.distill.losses)
    yield _row("first_values_student", metrics["student"])
    yield _row(FIRST_VALUES, metrics["teacher"])


def teach(params: Params, seed: int, paths: DataPaths) -> None:
    """Adapts the teacher and caches its targets."""
    folder = paths.targets.parent
    adapt(
        params.adapt.model_copy(update={"seed": seed}),
        clips=paths.clips,
        tables=folder,
        teacher=folder / "teacher",
        curves=folder / "curves.csv",
        device=params.runtime.device,
        held_out=paths.held_out,
    )
    plan = Plan(teacher=folder / "teacher", clips=paths.clips, settings=params.extract, device=params.runtime.device)
    extract(plan, paths.targets, params.runtime)


def score(params: Params, seed: int, paths: DataPaths, losses: dict[str, float]) -> dict[str, dict[str, float]]:
    """Trains a student and scores the test split: predictor → metric → value."""
    settings = params.distill.model_copy(update={"seed": seed, "losses": losses})
    with tempfile.TemporaryDirectory(dir=paths.targets.parent) as scratch:
        device, model = params.runtime.device, Path(scratch) / "model"
        distil(settings, paths, device=device, scratch=Path(scratch) / "state").student.save_pretrained(model)
        return evaluate(params.evaluate, paths, model, device=device).metrics


def _row(predictor: str, values: dict[str, float]) -> Row:
    return {"predictor": predictor} | {column: values[column] for column in COLUMNS[3:]}


def relabelled(labels: Sequence[Label], params: Params, *, seed: int, fraction: float) -> list[Label]:
    """The same videos, split and labelled by another seed."""
    share = params.prepare.split
    splits = split_contents([label.content for label in labels], val=share.val, test=share.test, seed=seed)
    train = [label.content for label in labels if splits[label.content] == "train"]
    kept = labelled_contents(train, fraction=fraction, seed=seed)
    return [
        replace(
            label,
            split=splits[label.content],
            labelled=label.mos is not None and (splits[label.content] != "train" or label.content in kept),
        )
        for label in labels
    ]


def few_label_curve(rows: Sequence[Row], drawn: str) -> list[Row]:
    """Mean test SRCC over seeds per fraction and predictor, and what it has over the student alone, paired by seed.

    The spread over seeds of a predictor's own SRCC is left out: it is that of the test contents, which all share.

    Args:
        rows: of ``table.csv``.
        drawn: what the seeds draw, as the column of their number is called.
    """
    shown = ("teacher", "student", ALONE, "baseline", "hand_features")
    srcc = {(row["fraction"], row["predictor"], row["seed"]): row["srcc"] for row in rows}
    table = []
    for fraction in sorted({row["fraction"] for row in rows}):
        for predictor in shown:
            seeds = sorted(seed for part, name, seed in srcc if (part, name) == (fraction, predictor))
            values = [srcc[fraction, predictor, seed] for seed in seeds]
            over = paired_difference(values, [srcc[fraction, ALONE, seed] for seed in seeds])
            means = {"labelled_fraction": fraction, "predictor": predictor, "srcc": statistics.mean(values)}
            ends = {"over_alone": over.value, "over_alone_low": over.low, "over_alone_high": over.high}
            table.append({**means, **ends, drawn: len(seeds)})
    return table


def summary(rows: Sequence[Row]) -> str:
    """A Markdown table per fraction: mean SRCC over seeds, each seed's, and what the cached targets add, paired."""
    lines: list[str] = []
    for fraction in dict.fromkeys(row["fraction"] for row in rows):
        of_fraction = [row for row in rows if row["fraction"] == fraction]
        by_predictor: dict[str, list[float]] = {}
        for row in of_fraction:
            by_predictor.setdefault(row["predictor"], []).append(row["srcc"])
        lines += [f"Labelled fraction {fraction:g}, {len(by_predictor['student'])} seeds", ""]
        lines += ["| predictor | test SRCC, mean | per seed | 95 % intervals per seed |", "|---|---|---|---|"]
        for predictor, values in by_predictor.items():
            bounds = [
                f"{row['srcc_low']:.2f}–{row['srcc_high']:.2f}" for row in of_fraction if row["predictor"] == predictor
            ]
            each = ", ".join(f"{value:.3f}" for value in values)
            lines.append(f"| {predictor} | {statistics.mean(values):.3f} | {each} | {', '.join(bounds)} |")
        lines += ["", *_differences(of_fraction), ""]
    return "\n".join(lines)


def _differences(rows: Sequence[Row]) -> Iterator[str]:
    """What is compared within a seed, over the seeds that have both."""
    pairs = {
        "Student with targets minus student alone": ("student", ALONE),
        "Student with shuffled targets minus student alone": (SHUFFLED, ALONE),
        "Student of the teacher with first values minus student": ("first_values_student", "student"),
        "Teacher with first values minus teacher": (FIRST_VALUES, "teacher"),
    }
    found = {(row["seed"], row["predictor"]): row["srcc"] for row in rows}
    for title, (one, other) in pairs.items():
        seeds = [seed for seed, predictor in found if predictor == one and (seed, other) in found]
        if seeds:
            gain = paired_difference([found[seed, one] for seed in seeds], [found[seed, other] for seed in seeds])
            interval = f"95 % interval {gain.low:+.3f} to {gain.high:+.3f}, {len(seeds)} seeds"
            yield f"- {title}, paired over seeds: {gain.value:+.3f} ({interval})"


if __name__ == "__main__":
    run_stage(main, CacheError)
