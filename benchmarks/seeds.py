"""Several seeds, paired: teacher, student with and without the cached targets, and every baseline.

A seed draws the split by content, the adaptation of the teacher and the training of the student; within a seed the two
students differ in nothing but the losses that read targets. With ``--fractions`` the scores of some training contents
are hidden from teacher, students and baselines alike, while their videos and targets stay.

    python -m benchmarks.seeds --seeds 1 2 3
    python -m benchmarks.seeds --seeds 1 2 3 --fractions 0.1 0.2 0.5 1.0

It needs what ``dvc repro render`` leaves. Written: ``results/seeds/table.csv``, one row per fraction, seed and
predictor; ``results/seeds/summary.md``.
"""

import argparse
import csv
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cache.errors import CacheError
from pipeline.adaptation import adapt
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
LABEL_SIDE = {"mos", "group"}
"""What a loss may read without a teacher."""
RESULTS = Path("results/seeds")
COLUMNS = ("fraction", "seed", "predictor", "srcc", "srcc_low", "srcc_high", "krcc", "plcc_logistic4", "rmse_logistic4")


def main() -> None:
    """Runs every combination of fraction and seed, then writes and prints the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seeds", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--fractions", type=float, nargs="+", default=[1.0])
    arguments = parser.parse_args()
    params = load_params()
    rows: list[dict[str, Any]] = []
    RESULTS.mkdir(parents=True, exist_ok=True)
    for fraction in arguments.fractions:
        for seed in arguments.seeds:
            print(f"== labelled fraction {fraction:g}, seed {seed}", file=sys.stderr)
            rows.extend(run(params, seed=seed, fraction=fraction))
            write_table(RESULTS / "table.csv", rows)
    text = summary(rows)
    (RESULTS / "summary.md").write_text(text, encoding="utf-8")
    print(text)


def run(params: Params, *, seed: int, fraction: float) -> Iterator[dict[str, Any]]:
    """One seed: adapt, extract, two students, evaluate.

    Args:
        params: the settings; seeds and the labelled fraction are replaced.
        seed: of the split, the adaptation and the training.
        fraction: share of the training contents whose scores may be used.

    Yields:
        One row per predictor, with the columns ``COLUMNS``.
    """
    with tempfile.TemporaryDirectory(prefix="seeds-") as scratch:
        folder = Path(scratch)
        for name in ("videos.csv", "dataset.json"):
            (folder / name).write_bytes((DATA_ROOT / name).read_bytes())
        labels = relabelled(read_labels(DATA_ROOT / "labels.csv"), params, seed=seed, fraction=fraction)
        write_labels(folder / "labels.csv", labels)
        paths = DataPaths(
            videos=DATA_ROOT / "videos.csv",
            labels=folder / "labels.csv",
            scales=folder / "dataset.json",
            clips=DATA_ROOT / "clips.zarr",
            targets=folder / "targets.zarr",
        )
        adapt(
            params.adapt.model_copy(update={"seed": seed}),
            clips=paths.clips,
            tables=folder,
            teacher=folder / "teacher",
            curves=folder / "curves.csv",
            device=params.runtime.device,
        )
        plan = Plan(
            teacher=folder / "teacher", clips=paths.clips, settings=params.extract, device=params.runtime.device
        )
        extract(plan, paths.targets, params.runtime)
        for name, losses in (("student", params.distill.losses), (ALONE, without_targets(params.distill.losses))):
            settings = params.distill.model_copy(update={"seed": seed, "losses": losses})
            student = distil(settings, paths, device=params.runtime.device, scratch=folder / name).student
            student.save_pretrained(folder / f"{name}-model")
            metrics = evaluate(params.evaluate, paths, folder / f"{name}-model", device=params.runtime.device).metrics
            for predictor, values in metrics.items():
                if predictor == "student" or name == "student":
                    shown = name if predictor == "student" else predictor
                    yield {"fraction": fraction, "seed": seed, "predictor": shown} | {
                        column: values[column] for column in COLUMNS[3:]
                    }


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


def without_targets(losses: dict[str, float]) -> dict[str, float]:
    """The losses that read labels only."""
    return {name: weight for name, weight in losses.items() if set(find("losses", name).NEEDS) <= LABEL_SIDE}


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes what there is so far, so that a run that is stopped leaves its finished seeds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def summary(rows: Sequence[dict[str, Any]]) -> str:
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
        gain = paired_difference(by_predictor["student"], by_predictor[ALONE])
        lines += [
            "",
            f"Student with targets minus student alone, paired over seeds: {gain.value:+.3f} "
            f"(95 % interval {gain.low:+.3f} to {gain.high:+.3f})",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_stage(main, CacheError)
