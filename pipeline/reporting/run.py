"""What a run left behind: the files of ``data/``, ``models/`` and ``results/`` as plain values.

Only ``results/evaluate/`` is needed. Everything else may be absent, and the page then says that a part is left out;
a file that is there but malformed is an error, never a silent gap.
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cache import Store, open_store
from pipeline.errors import PipelineError
from pipeline.manifest import Label, ScoreScale, Video, read_labels, read_scales, read_videos
from pipeline.metrics import Interval

Scores = Mapping[str, float | None]
STAGES = ("prepare", "render", "adapt", "extract", "distill", "evaluate")
_PREDICTION_COLUMNS = ("video_id", "mos", "teacher", "student")


class ReportError(PipelineError):
    """A file that the report needs is missing or malformed."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A test video with its true and predicted scores, on the MOS scale of its data set.

    Attributes:
        video_id: as in ``videos.csv``.
        mos: the true score.
        student: the student's.
        teacher: the teacher's; None where it has none.
        content: the source content; empty where unknown.
        codec: empty where unknown.
        level: as the publisher writes it; empty where unknown.
        dataset: empty where unknown.
    """

    video_id: str
    mos: float
    student: float
    teacher: float | None
    content: str = ""
    codec: str = ""
    level: str = ""
    dataset: str = ""

    @property
    def error(self) -> float:
        """Predicted minus true."""
        return self.student - self.mos


@dataclass(frozen=True)
class Table:
    """A CSV file: its header and rows, as text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self, name: str) -> list[str]:
        """The column ``name``."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]

    def numbers(self, name: str) -> np.ndarray | None:
        """The column as float64 ``(rows,)``, NaN where empty; None when a value is not a number or all are empty."""
        values = []
        for text in self.text(name):
            try:
                values.append(float(text) if text else math.nan)
            except ValueError:
                return None
        return np.asarray(values) if any(math.isfinite(value) for value in values) else None


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that the page is made from.

    Attributes:
        metrics: predictor → metric → value, from ``results/evaluate/metrics.json``; means over the data sets.
        differences: predictor → SRCC of the student minus its SRCC, with the bounds of the paired 95 % interval.
        predictions: the test split, ordered by ``video_id``.
        scales: data set → its score's name and range; empty when ``dataset.json`` is absent.
        curves: ``adapt`` and ``distill`` → their training curves, where there are any.
        stage_metrics: stage → the scalars of its ``metrics.json``.
        seconds: stage → how long it took.
        student: ``models/student/config.json``, or empty.
        student_weights: ``models/student/model.safetensors``, or None.
        few_labels: ``results/few_labels/curve.csv``, or None.
        comparison: ``results/comparison/table.csv``, or None.
        clips: the store of pixels, or None.
        targets: the store of teacher outputs, or None.
    """

    metrics: dict[str, Scores]
    predictions: list[Prediction]
    differences: dict[str, Interval] = field(default_factory=dict)
    scales: dict[str, ScoreScale] = field(default_factory=dict)
    curves: dict[str, Table] = field(default_factory=dict)
    stage_metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    student_weights: Path | None = None
    few_labels: Table | None = None
    comparison: Table | None = None
    clips: Store | None = None
    targets: Store | None = None

    @property
    def datasets(self) -> list[str]:
        """The data sets of the test split, sorted; one empty name where ``videos.csv`` is absent."""
        return sorted({prediction.dataset for prediction in self.predictions})

    @property
    def score_name(self) -> str:
        """What the scores of the test split are called; several names are joined."""
        return " / ".join(dict.fromkeys(map(self.score_name_of, self.datasets)))

    def score_name_of(self, dataset: str) -> str:
        """What a data set's scores are called, as ``dataset.json`` says it."""
        scale = self._scale(dataset)
        return scale.score_name if scale else "MOS"

    def scale_length(self, dataset: str) -> float:
        """From the worst to the best score of a data set's scale; 1 where the scale is not known."""
        scale = self._scale(dataset)
        return (scale.high - scale.low) or 1.0 if scale else 1.0

    def _scale(self, dataset: str) -> ScoreScale | None:
        if dataset in self.scales:
            return self.scales[dataset]
        return next(iter(self.scales.values())) if not dataset and len(self.scales) == 1 else None


def load_run(root: Path) -> Run:
    """Reads a run.

    Args:
        root: the project's root, which has ``data/``, ``models/`` and ``results/``.

    Raises:
        ReportError: the evaluation's files are missing, or any file is malformed.
        ManifestError: a table of ``data/`` is malformed.
        CacheError: a store is there but cannot be opened.
    """
    data, results, model = root / "data", root / "results", root / "models" / "student"
    config = _read_json(model / "config.json")
    weights = model / "model.safetensors"
    found = {stage: _read_table(results / stage / "curves.csv") for stage in ("adapt", "distill")}
    metrics = {stage: _read_json(results / stage / "metrics.json") for stage in STAGES if stage != "evaluate"}
    scales_path = data / "dataset.json"
    return Run(
        metrics=_read_metrics(results / "evaluate" / "metrics.json"),
        predictions=_read_predictions(results / "evaluate" / "predictions.csv", data),
        differences=_read_differences(results / "evaluate" / "differences.csv"),
        scales=read_scales(scales_path) if scales_path.exists() else {},
        curves={stage: table for stage, table in found.items() if table is not None and table.rows},
        stage_metrics={stage: values for stage, values in metrics.items() if values},
        seconds=_read_seconds(results),
        student=config or {},
        student_weights=weights if weights.is_file() else None,
        few_labels=_read_table(results / "few_labels" / "curve.csv"),
        comparison=_read_table(results / "comparison" / "table.csv"),
        clips=_open(data / "clips.zarr"),
        targets=_open(data / "targets.zarr"),
    )


def _open(path: Path) -> Store | None:
    return open_store(path) if path.exists() else None


def _read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None when the file is absent."""
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read {path}: {error}; run the stage that writes it again") from None
    if not isinstance(values, dict):
        raise ReportError(f"{path}: got {type(values).__name__}; expected one JSON object")
    return values


def _read_metrics(path: Path) -> dict[str, Scores]:
    values = _read_json(path)
    if values is None:
        raise ReportError(f"{path} is missing; run the stage evaluate first")
    metrics: dict[str, Scores] = {name: scores for name, scores in values.items() if isinstance(scores, dict)}
    if "srcc" not in metrics.get("student", {}):
        raise ReportError(f"{path}: student.srcc is missing; it has {', '.join(metrics) or 'nothing'}")
    return metrics


def _read_table(path: Path) -> Table | None:
    """The table in a CSV file; None when the file is absent or empty, as a stage leaves it that had no row to write."""
    if not path.exists():
        return None
    try:
        lines = [line for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise ReportError(f"cannot read {path}: {error}; run the stage that writes it again") from None
    if not lines:
        return None
    header, rows = lines[0], lines[1:]
    if len(set(header)) < len(header):
        raise ReportError(f"{path}: a column name stands twice in {','.join(header)}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ReportError(f"{path}, row {number}: got {len(row)} columns; expected {len(header)}")
    return Table(tuple(header), tuple(tuple(row) for row in rows))


def _read_predictions(path: Path, data: Path) -> list[Prediction]:
    table = _read_table(path)
    if table is None:
        raise ReportError(f"{path} is missing or empty; run the stage evaluate first")
    if table.header[: len(_PREDICTION_COLUMNS)] != _PREDICTION_COLUMNS:
        raise ReportError(f"{path}: got the header {','.join(table.header)}; expected {','.join(_PREDICTION_COLUMNS)}")
    if not table.rows:
        raise ReportError(f"{path} has no rows; the test split is empty: raise prepare.split.test")
    labels = _by_id(read_labels(data / "labels.csv")) if (data / "labels.csv").exists() else None
    videos = _by_id(read_videos(data / "videos.csv")) if (data / "videos.csv").exists() else None
    predictions = []
    for number, row in enumerate(table.rows, start=2):
        where = f"{path}, row {number}"
        if labels is not None and row[0] not in labels:
            raise ReportError(f"{where}: labels.csv lacks the video {row[0]!r}; run the stage evaluate again")
        predictions.append(_prediction(row, labels, videos, where))
    return sorted(predictions, key=lambda prediction: prediction.video_id)


def _read_differences(path: Path) -> dict[str, Interval]:
    table = _read_table(path)
    if table is None:
        return {}
    columns = ("predictor", "srcc_difference", "low", "high")
    if table.header != columns:
        raise ReportError(f"{path}: got the header {','.join(table.header)}; expected {','.join(columns)}")
    differences = {}
    for number, (name, *texts) in enumerate(table.rows, start=2):
        value, low, high = (_number(text, f"{path}, row {number}, {name}") for text in texts)
        differences[name] = Interval(value=value, low=low, high=high)
    return differences


def _by_id(rows: Any) -> dict[str, Any]:
    return {row.video_id: row for row in rows}


def _prediction(
    row: tuple[str, ...], labels: dict[str, Label] | None, videos: dict[str, Video] | None, where: str
) -> Prediction:
    label = labels[row[0]] if labels else None
    video = videos.get(row[0]) if videos else None
    return Prediction(
        video_id=row[0],
        mos=_number(row[1], f"{where}, mos"),
        teacher=_number(row[2], f"{where}, teacher") if row[2] else None,
        student=_number(row[3], f"{where}, student"),
        content=label.content if label else "",
        codec=label.codec if label else "",
        level=label.level if label else "",
        dataset=video.dataset if video else "",
    )


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ReportError(f"{where}: got {text!r}; expected a finite number")
    return value


def _read_seconds(results: Path) -> dict[str, float]:
    seconds = {}
    for stage in STAGES:
        path = results / stage / "timing.json"
        timing = _read_json(path)
        if timing is None:
            continue
        value = timing.get("seconds")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ReportError(f"{path}: got seconds = {value!r}; expected a number")
        seconds[stage] = float(value)
    return seconds
