"""Teacher scores with and without the teacher's memory of the labels: what cross-fitting is worth, measured.

    python -m benchmarks.cross_fitting                     # three seeds, five folds
    python -m benchmarks.cross_fitting --seeds 1 2 --folds 3 --fraction 0.5
    python -m benchmarks.cross_fitting --threads 1            # beside another program

A seed draws the split by content, the adaptation of the teacher and the training of the students. The teacher is
adapted with ``adapt.cross_fit_folds``; then three students differ in nothing but their teacher scores: its own,
cross-fitted ones, and no targets at all. Beside them stands how well each kind of score agrees with the labels, on the
training videos and on the test split: what a teacher has by memory it has on the former alone. It needs what
``dvc repro render`` leaves. Kept in ``.teachonce/cross_fitting``; a run that is stopped goes on with the next seed.
Written: ``results/cross_fitting/table.csv``, a row per seed and predictor, and ``results/cross_fitting/summary.md``.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.ledger import Ledger, Row, context_of, digests_of, write_table
from benchmarks.seeds import redrawn, score, teach
from benchmarks.settings import with_threads, without_targets
from cache.errors import CacheError
from pipeline.adaptation import first_weights
from pipeline.aligned import AlignedData, DataPaths
from pipeline.metrics import paired_difference, srcc
from pipeline.params import Params, load_params
from stages import run_stage

SCRATCH = Path(".teachonce/cross_fitting")
RESULTS = Path("results/cross_fitting")
COLUMNS = ("fraction", "folds", "seed", "predictor", "srcc")
OWN, CROSSED, ALONE = "student, own scores", "student, cross-fitted scores", "student alone"
TEACHER_TRAIN, CROSSED_TRAIN, TEACHER_TEST = "teacher on training", "cross-fitted on training", "teacher on test"


def main() -> None:
    """Runs the seeds that are missing, then writes and prints the summary."""
    description = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cross_fitting", description=description)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the training contents that are labelled")
    parser.add_argument("--threads", type=int, help="of adapt and distill, instead of those of params.yaml")
    arguments = parser.parse_args()
    params = with_threads(load_params(), arguments.threads)
    params = params.model_copy(
        update={"adapt": params.adapt.model_validate(params.adapt.model_dump() | {"cross_fit_folds": arguments.folds})}
    )
    key = {"fraction": arguments.fraction, "folds": arguments.folds}
    context = context_of(params, replace(DataPaths(), targets=Path("no targets of its own")))
    context["first weights"] = digests_of(first_weights(params.adapt))
    ledger = Ledger(SCRATCH / f"finished-{arguments.folds}-{arguments.fraction:g}.json", context)
    for seed in arguments.seeds:
        if not ledger.has(seed=seed):
            print(f"== seed {seed}", file=sys.stderr)
            ledger.add([key | {"seed": seed} | row for row in run(params, seed=seed, fraction=arguments.fraction)])
            write_table(RESULTS / "table.csv", COLUMNS, ledger.rows)
    write_table(RESULTS / "table.csv", COLUMNS, ledger.rows)
    text = summary(ledger.rows)
    (RESULTS / "summary.md").write_text(text, encoding="utf-8")
    print(text)


def run(params: Params, *, seed: int, fraction: float) -> list[Row]:
    """One seed: predictor and test SRCC, and the agreement of both kinds of teacher scores."""
    with redrawn(params, seed=seed, fraction=fraction) as paths:
        teach(params, seed, paths)
        rows = agreements(paths, params.distill.view_set)
        losses = params.distill.losses
        for predictor, crossed, weights in (
            (OWN, False, losses),
            (CROSSED, True, losses),
            (ALONE, False, without_targets(losses)),
        ):
            distill = params.distill.model_copy(update={"cross_fitted_scores": crossed})
            metrics = score(params.model_copy(update={"distill": distill}), seed, paths, weights)
            rows.append({"predictor": predictor, "srcc": metrics["student"]["srcc"]})
    return [*rows, {"predictor": TEACHER_TEST, "srcc": metrics["teacher"]["srcc"]}]


def agreements(paths: DataPaths, view_set: str) -> list[Row]:
    """SRCC of both kinds of teacher scores with the labels of the training videos."""
    rows = []
    for predictor, crossed in ((TEACHER_TRAIN, False), (CROSSED_TRAIN, True)):
        data = AlignedData(paths, view_set, cross_fitted=crossed)
        entries, scores = data.split("train", labelled=True), data.target("teacher_score")
        mos = np.array([entry.unit_mos for entry in entries], dtype=np.float64)
        predicted = np.array([scores[entry.rows].mean() for entry in entries], dtype=np.float64)
        rows.append({"predictor": predictor, "srcc": srcc(predicted, mos)})
    return rows


def summary(rows: Sequence[Row]) -> str:
    """A Markdown table, and the differences paired over seeds."""
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        found.setdefault(row["predictor"], {})[row["seed"]] = row["srcc"]
    fraction, folds = rows[0]["fraction"], rows[0]["folds"]
    lines = [
        f"Labelled fraction {fraction:g}, {folds} folds",
        "",
        "| predictor | SRCC, mean | per seed |",
        "|---|---|---|",
    ]
    for predictor, values in found.items():
        each = ", ".join(f"{value:.3f}" for value in values.values())
        lines.append(f"| {predictor} | {statistics.mean(values.values()):.3f} | {each} |")
    lines.append("")
    pairs = (
        (CROSSED, OWN),
        (OWN, ALONE),
        (CROSSED, ALONE),
        (TEACHER_TRAIN, CROSSED_TRAIN),
        (TEACHER_TRAIN, TEACHER_TEST),
    )
    for one, other in pairs:
        gain = paired_difference(list(found[one].values()), list(found[other].values()))
        interval = f"95 % interval {gain.low:+.3f} to {gain.high:+.3f}, {len(found[one])} seeds"
        lines.append(f"- {one} minus {other}, paired over seeds: {gain.value:+.3f} ({interval})")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_stage(main, CacheError)
