"""Stage ``evaluate``: the test split scored once; metrics with intervals and a prediction per video out."""

import sys
from pathlib import Path

from cache.store.errors import CacheError
from pipeline.core.files import write_json, write_rows
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.near_duplicates import near_duplicates
from pipeline.evaluation.tables import baseline_rows, detail_rows, difference_rows, prediction_rows, summary
from pipeline.students.data.rows import DataPaths
from stages import run_stage, timed
from stages.params import load_params


def main() -> None:
    """Scores student, teacher and baselines on the test split; says first which videos may stand in two splits."""
    params, paths = load_params(), DataPaths()
    with timed("evaluate") as results:
        for line in near_duplicates(paths.targets, paths.labels):
            print(f"evaluate: {line}", file=sys.stderr)
        evaluation = evaluate(params.evaluate, paths, Path("models/student"), device=params.runtime.device)
        write_rows(results / "predictions.csv", prediction_rows(evaluation))
        write_rows(results / "baselines.csv", baseline_rows(evaluation))
        write_rows(results / "differences.csv", difference_rows(evaluation))
        write_rows(results / "details.csv", detail_rows(evaluation, paths.videos.parent))
        write_json(results / "metrics.json", evaluation.metrics)
        write_json(results / "summary.json", summary(evaluation))


if __name__ == "__main__":
    run_stage(main, CacheError)
