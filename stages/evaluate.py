"""Stage ``evaluate``: the test split scored once; metrics with intervals and a prediction per video out."""

import sys
from pathlib import Path

from cache.errors import CacheError
from pipeline.aligned import DataPaths
from pipeline.evaluation import baseline_rows, difference_rows, evaluate, prediction_rows
from pipeline.near_duplicates import near_duplicates
from pipeline.params import load_params
from pipeline.records import timed, write_json
from pipeline.tables import write_rows
from stages import run_stage


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
        write_rows(results / "details.csv", evaluation.details)
        write_json(results / "metrics.json", evaluation.metrics)


if __name__ == "__main__":
    run_stage(main, CacheError)
