"""The KVQ challenge's score of a run's predictions."""

from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.evaluation.metrics.shared.ranked_pairs import Pair, challenge_score
from pipeline.preparation.datasets.shared.reading import read_bytes
from pipeline.preparation.datasets.shared.spreadsheet import read_sheets
from pipeline.preparation.datasets.shared.tables import read_table


class ChallengeError(PipelineError):
    """Predictions and pairs do not fit together."""


def score_of(predictions: Path, pairs: Path, column: str) -> dict[str, float]:
    """The challenge's score of one column of ``predictions.csv``.

    Args:
        predictions: ``results/evaluate/predictions.csv`` of a run that tests KVQ's validation or test videos.
        pairs: the publisher's ``rank-pair-val.xlsx``, with the sheets ``nonsource`` and ``source``.
        column: ``student`` or ``teacher``.

    Raises:
        DatasetError: a file cannot be read.
        ChallengeError: the predictions are of two splits, or have no scores.
        MetricError: a pair's video has no prediction.
    """
    rows = read_table(predictions, {"name": "video_id", "mos": "mos", "score": column}).rows
    names = [_short(row["name"]) for row in rows]
    if len(set(names)) < len(names):
        raise ChallengeError(f"{predictions} has a number twice; expected videos of one of KVQ's splits")
    try:
        predicted = {name: float(row["score"]) for name, row in zip(names, rows, strict=True)}
        mos = {name: float(row["mos"]) for name, row in zip(names, rows, strict=True)}
    except ValueError as error:
        raise ChallengeError(f"{predictions}: {error}; expected a number in mos and {column} of every row") from None
    return challenge_score(predicted, mos, read_pairs(pairs))


def read_pairs(path: Path) -> dict[str, list[Pair]]:
    """The ranked pairs: each sheet's rows hold two file names, and 1 or 2 for the better of them.

    Raises:
        DatasetError: the file is no spreadsheet.
    """
    sheets = read_sheets(path, read_bytes(path))
    return {
        name: [
            Pair(first=_short(cells[0]), second=_short(cells[1]), better=int(cells[2]))
            for _, cells in rows
            if len(cells) >= 3 and cells[2] in ("1", "2")
        ]
        for name, rows in sheets.items()
    }


def _short(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".mp4")
