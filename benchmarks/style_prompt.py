"""A trained student meets another data set: left as it is, tuned by style prompts alone, or tuned as a whole.

    python -m benchmarks.style_prompt
    python -m benchmarks.style_prompt --seeds 1 2 3 4 5 --contents 96 --student models/student
    python -m benchmarks.style_prompt --threads 1                     # beside another program

It needs what ``dvc repro extract`` leaves: on that ``qmamba`` is trained, unless ``--student`` names one. Then
a second embedded data set is made: another seed, two codecs, families of content that the first lacks; its targets
come from the same teacher, which is not adapted again. Each seed draws another split of the second set by content and
other first values of the prompts, and is paired over the ways. The rates of both ways were fixed beforehand. Kept in
``.teachonce/style_prompt``; a run that is stopped goes on. Written: ``results/style_prompt/table.csv`` and
``summary.md``.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generated import DATASET, generate
from benchmarks.ledger import Ledger, context_of, write_table
from benchmarks.seeds import relabelled
from benchmarks.settings import with_threads
from cache.errors import CacheError
from pipeline.aligned import AlignedData, DataPaths
from pipeline.datasets import embedded
from pipeline.digests import file_digest
from pipeline.extraction import Plan, extract
from pipeline.manifest import read_labels, write_labels
from pipeline.metrics import bootstrap_srcc, paired_difference
from pipeline.params import Params, load_params
from pipeline.prediction import predict_videos
from pipeline.records import replacing_folder
from pipeline.students import StudentError, StudentModel, load_student
from pipeline.synthesis.sources import FAMILIES
from pipeline.training import distil
from stages import run_stage

STUDENT = "qmamba"
SCRATCH = Path(".teachonce/style_prompt")
RESULTS = Path("results/style_prompt")
TEACHER = Path("models/teacher")
WEIGHTS = "model.safetensors"
COLUMNS = ("seed", "way", "srcc", "srcc_low", "srcc_high", "val_srcc", "trained", "share", "seconds")
SECOND_SEED = 4077
SECOND_CODECS = ("hevc", "av1")


@dataclass(frozen=True, kw_only=True)
class Way:
    """How the trained student is fitted to the second set.

    Attributes:
        options: added to the student's own.
        learning_rate: of the tuning.
    """

    options: dict[str, Any]
    learning_rate: float


NONE = "none"
WAYS = {
    "style_prompt": Way(options={"num_prompts": 8, "tune": "style_prompt"}, learning_rate=5e-3),
    "full": Way(options={}, learning_rate=5e-4),
}


def main() -> None:
    """Makes what is not there yet, tunes for every seed, then writes and prints the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.style_prompt", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--contents", type=int, default=72, help="of the second set")
    parser.add_argument("--epochs", type=int, default=12, help="of a tuning")
    parser.add_argument("--student", type=Path, help="a trained qmamba to begin with")
    parser.add_argument("--threads", type=int, help="of a training, instead of distill.threads")
    arguments = parser.parse_args()
    params = with_threads(load_params(), arguments.threads)
    trained = arguments.student or train(params, DataPaths(), SCRATCH)
    begun = {"epochs": arguments.epochs, "student": weights_digest(trained)}
    second = second_set(params, SCRATCH / "data", contents=arguments.contents)
    ledger = Ledger(SCRATCH / "finished.json", context_of(params, second) | begun)
    for seed in arguments.seeds:
        if not ledger.has(seed=seed):
            print(f"== seed {seed}", file=sys.stderr)
            ledger.add(list(run(params, trained, second, seed=seed, epochs=arguments.epochs)))
            write_table(RESULTS / "table.csv", COLUMNS, ledger.rows)
    write_table(RESULTS / "table.csv", COLUMNS, ledger.rows)
    text = summary(ledger.rows)
    (RESULTS / "summary.md").write_text(text, encoding="utf-8")
    print(text)


def train(params: Params, paths: DataPaths, folder: Path) -> Path:
    """Trains the student on the first data set, by ``params.yaml``, where ``folder`` has none; returns its folder."""
    trained, ledger = folder / "student", Ledger(folder / "trained.json", context_of(params, paths))
    if not ((trained / WEIGHTS).is_file() and ledger.has(student=weights_digest(trained))):
        settings = params.distill.model_copy(update={"student": STUDENT, "initial": None})
        result = distil(settings, paths, device=params.runtime.device, scratch=folder / "distill")
        with replacing_folder(trained) as fresh:
            result.student.save_pretrained(fresh)
        ledger.add([{"student": weights_digest(trained)}])
    return trained


def weights_digest(trained: Path) -> str:
    """SHA-256 of a trained student's weights.

    Raises:
        StudentError: the folder has none.
    """
    if not (trained / WEIGHTS).is_file():
        raise StudentError(f"got {trained}, which has no {WEIGHTS}; expected the folder of a trained student")
    return file_digest(trained / WEIGHTS)


def second_set(params: Params, data: Path, *, contents: int, **options: Any) -> DataPaths:
    """Makes the second data set with its clips and targets.

    Args:
        params: views, teacher and targets are as in the first set.
        data: a folder for all of it; what is there already is used again.
        contents: how many sources.
        options: further settings of the data set ``embedded``.
    """
    used = params.prepare.options.get(DATASET, {}).get("families") or embedded.Settings.parse({}, "").families
    chosen = {
        "contents": contents,
        "seed": SECOND_SEED,
        "codecs": list(SECOND_CODECS),
        "families": [family for family in FAMILIES if family not in used],
    } | options
    paths = generate(params, data, chosen)
    plan = Plan(teacher=TEACHER, clips=paths.clips, settings=params.extract, device=params.runtime.device)
    extract(plan, paths.targets, params.runtime)
    return paths


def run(params: Params, trained: Path, second: DataPaths, *, seed: int, epochs: int) -> Iterator[dict[str, Any]]:
    """One seed: every way on one split.

    Args:
        params: what the tuning takes over: losses, batch size and the rest of ``distill``.
        trained: folder of the trained student.
        second: the second data set.
        seed: of the split and of the training.
        epochs: of a tuning.

    Yields:
        One row per way, with the columns ``COLUMNS``.
    """
    scratch = second.labels.parent / f"seed-{seed}"
    scratch.mkdir(exist_ok=True)
    write_labels(scratch / "labels.csv", relabelled(read_labels(second.labels), params, seed=seed, fraction=1.0))
    paths = replace(second, labels=scratch / "labels.csv")
    data = AlignedData(paths, params.distill.view_set)
    base, resamples = load_student(trained), params.evaluate.bootstrap
    yield _row(base, data, seed=seed, way=NONE, trained=0, seconds=0.0, resamples=resamples)
    own: dict[str, Any] = base.config.options or {}
    for name, way in WAYS.items():
        settings = params.distill.model_copy(
            update={
                "student": STUDENT,
                "options": {STUDENT: own | way.options},
                "initial": str(trained),
                "epochs": epochs,
                "learning_rate": way.learning_rate,
                "seed": seed,
            }
        )
        start = time.perf_counter()
        student = distil(settings, paths, device=params.runtime.device, scratch=scratch).student
        seconds = time.perf_counter() - start
        num_trained = sum(value.numel() for value in student.parameters() if value.requires_grad)
        yield _row(student, data, seed=seed, way=name, trained=num_trained, seconds=seconds, resamples=resamples)


def _row(
    student: StudentModel, data: AlignedData, *, seed: int, way: str, trained: int, seconds: float, resamples: int
) -> dict[str, Any]:
    scores = {}
    for split in ("val", "test"):
        entries = data.split(split, labelled=True)
        predicted = predict_videos(student, data, entries, description=f"style_prompt: {way}, {split}")
        mos = np.array([entry.label.mos for entry in entries], dtype=np.float64)
        contents = [entry.label.content for entry in entries]
        scores[split] = bootstrap_srcc(predicted, mos, contents, num_resamples=resamples, seed=seed)
    test = scores["test"]
    return {
        "seed": seed,
        "way": way,
        "srcc": test.value,
        "srcc_low": test.low,
        "srcc_high": test.high,
        "val_srcc": scores["val"].value,
        "trained": trained,
        "share": trained / student.num_parameters(),
        "seconds": round(seconds, 1),
    }


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of the ways, and what prompts are worth against the others, paired over seeds."""
    by_way = {way: [row for row in rows if row["way"] == way] for way in dict.fromkeys(row["way"] for row in rows)}
    lines = [
        "| way | test SRCC, mean | per seed (95 % interval over contents) | parameters trained | seconds |",
        "|---|---|---|---|---|",
    ]
    for way, found in by_way.items():
        each = ", ".join(f"{row['srcc']:.3f} ({row['srcc_low']:.2f}–{row['srcc_high']:.2f})" for row in found)
        mean, seconds = (statistics.mean(row[name] for row in found) for name in ("srcc", "seconds"))
        lines.append(
            f"| {way} | {mean:.3f} | {each} | {found[0]['trained']:,} ({found[0]['share']:.1%}) | {seconds:.0f} |"
        )
    srcc = {way: [row["srcc"] for row in found] for way, found in by_way.items()}
    lines.append("")
    for first, second in (("style_prompt", NONE), ("full", NONE), ("style_prompt", "full")):
        gain = paired_difference(srcc[first], srcc[second])
        lines.append(
            f"{first} minus {second}, paired over {len(srcc[first])} seeds: {gain.value:+.3f} "
            f"(95 % interval {gain.low:+.3f} to {gain.high:+.3f})"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_stage(main, CacheError)
