"""The field's protocol: many random splits by content, the median and the deviation of each measure over them.

    python -m benchmarks.splits --repeats 10              # 80/20, probes on the cached targets: seconds
    python -m benchmarks.splits --folds 5                 # every content is tested once
    python -m benchmarks.splits --repeats 10 --baselines --student
    python -m benchmarks.splits --repeats 10 --adapt      # a teacher tuned on scores is tuned anew for every split

Splits are drawn by content with a seed; a content is never on both sides. Nothing is chosen on a test part: probes
choose their settings by cross-validation inside the training part, and a student its epoch on contents taken from it.
A teacher that was adapted to this data set has seen the scores of contents that another split tests on, so its cached
targets are refused without ``--adapt``. It needs what ``dvc repro extract`` leaves. Written: a row per split and
predictor in ``results/splits/table.csv``, and ``results/splits/summary.md``.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from benchmarks.ledger import write_table
from cache.errors import CacheError
from pipeline.adaptation import adapt
from pipeline.aligned import AlignedData, DataPaths, VideoRows
from pipeline.baselines import baselines
from pipeline.errors import PipelineError
from pipeline.evaluation import evaluate
from pipeline.extraction import Plan, extract
from pipeline.manifest import DATA_ROOT, Label, Split, read_labels, write_labels
from pipeline.metrics import krcc, plcc_logistic4, rmse_logistic4, srcc
from pipeline.params import Params, load_params
from pipeline.probes import probe_all
from pipeline.training import distil
from stages import run_stage

RESULTS = Path("results/splits")
MEASURES = {"srcc": srcc, "krcc": krcc, "plcc_logistic4": plcc_logistic4, "rmse_logistic4": rmse_logistic4}
COLUMNS = ("split", "predictor", *MEASURES)


class SplitsError(PipelineError):
    """The splits cannot be drawn, or the targets have seen what they would test."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is run on every split.

    Attributes:
        baselines: whether predictors without a teacher are fitted too.
        student: whether a student is trained.
        adapt: whether the teacher is adapted, and its targets extracted, anew.
        val: share of the training contents that choose the epoch of student and teacher.
        seed: of the split; training keeps its own.
    """

    baselines: bool = False
    student: bool = False
    adapt: bool = False
    val: float = 0.15
    seed: int = 1


def main() -> None:
    """Runs every split, then writes and prints the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.splits", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=10, help="random splits")
    parser.add_argument("--test", type=float, default=0.2, help="share of the contents that are tested")
    parser.add_argument("--folds", type=int, help="k-fold in place of random splits")
    parser.add_argument("--baselines", action="store_true", help="also predictors that need no teacher")
    parser.add_argument("--student", action="store_true", help="also the student of params.yaml, trained anew")
    parser.add_argument("--adapt", action="store_true", help="adapt the teacher and extract anew for every split")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    params, labels = load_params(), read_labels(DATA_ROOT / "labels.csv")
    study = Study(baselines=given.baselines, student=given.student, adapt=given.adapt, seed=given.seed)
    check_teacher(params, study)
    contents = [label.content for label in labels]
    if given.folds is None:
        tested = repeated(contents, repeats=given.repeats, test=given.test, seed=given.seed)
    else:
        tested = folds(contents, count=given.folds, seed=given.seed)
    rows: list[dict[str, Any]] = []
    for number, held_out in enumerate(tested, start=1):
        print(f"== split {number} of {len(tested)}: {len(held_out)} contents are tested", file=sys.stderr)
        rows += [{"split": number, **row} for row in run(params, study, divided(labels, held_out, study))]
        write_table(RESULTS / "table.csv", COLUMNS, rows)
    text = summary(rows)
    (RESULTS / "summary.md").write_text(text, encoding="utf-8")
    print(text)


def check_teacher(params: Params, study: Study) -> None:
    """Refuses cached targets of a teacher that was tuned on scores of this data set.

    Raises:
        SplitsError: so it was.
    """
    if params.adapt.epochs > 0 and not study.adapt:
        raise SplitsError(
            "the teacher was adapted to the training split of this data set (adapt.epochs is "
            f"{params.adapt.epochs}), so its targets know scores that other splits test; use --adapt, which adapts and "
            "extracts anew for each, or a teacher that is passed through (adapt.epochs: 0)"
        )


def repeated(contents: Sequence[str], *, repeats: int, test: float, seed: int) -> list[frozenset[str]]:
    """The tested contents of each random split.

    Args:
        contents: of every video.
        repeats: how many splits.
        test: share of the contents that are tested, above 0 and below 1.
        seed: of the draws.

    Raises:
        SplitsError: there are too few contents.
    """
    names = _contents(contents, 2)
    draws = GroupShuffleSplit(n_splits=repeats, test_size=test, random_state=seed).split(names, groups=names)
    return [frozenset(names[index] for index in part) for _, part in draws]


def folds(contents: Sequence[str], *, count: int, seed: int) -> list[frozenset[str]]:
    """The tested contents of each fold; each content is in exactly one.

    Raises:
        SplitsError: there are fewer contents than folds.
    """
    names = _contents(contents, count)
    draws = GroupKFold(n_splits=count, shuffle=True, random_state=seed).split(names, groups=names)
    return [frozenset(names[index] for index in part) for _, part in draws]


def divided(labels: Sequence[Label], tested: frozenset[str], study: Study) -> list[Label]:
    """The same videos with another split; validation is drawn from what is not tested."""
    others = sorted({label.content for label in labels} - tested)
    generator = np.random.Generator(np.random.PCG64(study.seed))
    number = max(1, round(study.val * len(others))) if study.student or study.adapt else 0
    chosen = {others[index] for index in generator.permutation(len(others))[:number]}
    places: dict[str, Split] = dict.fromkeys(others, "train")
    places |= dict.fromkeys(chosen, "val") | dict.fromkeys(tested, "test")
    return [replace(label, split=places[label.content], labelled=label.mos is not None) for label in labels]


def run(params: Params, study: Study, labels: Sequence[Label]) -> Iterator[dict[str, Any]]:
    """One split.

    Args:
        params: the settings.
        study: what is run.
        labels: with the split.

    Yields:
        A row per predictor.
    """
    with tempfile.TemporaryDirectory(prefix="splits-") as scratch:
        folder = Path(scratch)
        for name in ("videos.csv", "dataset.json"):
            (folder / name).write_bytes((DATA_ROOT / name).read_bytes())
        write_labels(folder / "labels.csv", labels)
        paths = DataPaths(labels=folder / "labels.csv")
        if study.adapt:
            paths = _teach(params, folder, paths)
        data = AlignedData(paths, params.distill.view_set)
        test = [entry for entry in data.split("test") if entry.label.mos is not None]
        predictions = dict(probe_all(data, test))
        if study.baselines:
            predictions |= baselines(data, test, DATA_ROOT)
        for name, values in predictions.items():
            yield {"predictor": name} | measured(test, values)
        if study.student:
            trained = distil(params.distill, paths, device=params.runtime.device, scratch=folder / "distill").student
            trained.save_pretrained(folder / "student")
            found = evaluate(params.evaluate, paths, folder / "student", device=params.runtime.device)
            yield {"predictor": "student"} | {name: found.metrics["student"][name] for name in MEASURES}


def measured(entries: Sequence[VideoRows], values: np.ndarray) -> dict[str, float]:
    """Every measure, on each video's own scale, averaged over data sets.

    Args:
        entries: the tested videos.
        values: predictions on the unit scale, shape ``(n,)``.
    """
    parts = []
    for name in sorted({entry.video.dataset for entry in entries}):
        rows = [row for row, entry in enumerate(entries) if entry.video.dataset == name]
        scale = entries[rows[0]].scale
        mos = np.array([entries[row].label.mos for row in rows], dtype=np.float64)
        predicted = scale.low + values[rows] * (scale.high - scale.low)
        parts.append([measure(predicted, mos) for measure in MEASURES.values()])
    return dict(zip(MEASURES, np.mean(parts, axis=0).tolist(), strict=True))


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table in Markdown: of each predictor the median over splits and the standard deviation."""
    num_splits = len({row["split"] for row in rows})
    lines = [
        f"Median (standard deviation) over {num_splits} splits by content",
        "",
        "| predictor | " + " | ".join(MEASURES) + " |",
        "|---" * (1 + len(MEASURES)) + "|",
    ]
    for name in dict.fromkeys(row["predictor"] for row in rows):
        cells = [_cell([row[measure] for row in rows if row["predictor"] == name]) for measure in MEASURES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(values: Sequence[float]) -> str:
    """Median and deviation; a dash where a measure is undefined in one of the splits."""
    if not np.isfinite(values).all():
        return "–"
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{np.median(values):.3f} ({deviation:.3f})"


def _contents(contents: Sequence[str], least: int) -> list[str]:
    names = sorted(set(contents))
    if len(names) < least:
        raise SplitsError(f"got {len(names)} contents; expected at least {least}")
    return names


def _teach(params: Params, folder: Path, paths: DataPaths) -> DataPaths:
    """Adapts the teacher to this split's training part and extracts its targets."""
    teacher = folder / "teacher"
    device = params.runtime.device
    adapt(params.adapt, clips=paths.clips, tables=folder, teacher=teacher, curves=folder / "curves.csv", device=device)
    extract(
        Plan(teacher=teacher, clips=paths.clips, settings=params.extract, device=device),
        folder / "targets.zarr",
        params.runtime,
    )
    return replace(paths, targets=folder / "targets.zarr")


if __name__ == "__main__":
    run_stage(main, CacheError)
