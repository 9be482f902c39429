"""What a run left behind: the files of ``data/``, ``models/`` and ``results/`` as plain values.

Only ``results/evaluate/`` is needed. Everything else may be absent, and the page then says that a part is left out;
a file that is there but malformed is an error, never a silent gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.store import Store, open_store
from pipeline.core.agreement import Interval
from pipeline.core.manifest import ScoreScale, read_scales
from pipeline.reporting.files import ReportError, Table, number_in, read_json, read_table
from pipeline.reporting.predictions import Prediction, read_predictions

Scores = Mapping[str, float | None]
STAGES = ("prepare", "render", "adapt", "extract", "distill", "evaluate")


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
        data_root: what the videos' paths are relative to.
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
    data_root: Path = Path("data")

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
    config = read_json(model / "config.json")
    weights = model / "model.safetensors"
    found = {stage: read_table(results / stage / "curves.csv") for stage in ("adapt", "distill")}
    metrics = {stage: read_json(results / stage / "metrics.json") for stage in STAGES if stage != "evaluate"}
    scales_path = data / "dataset.json"
    return Run(
        metrics=_read_metrics(results / "evaluate" / "metrics.json"),
        predictions=read_predictions(results / "evaluate" / "predictions.csv", data),
        differences=_read_differences(results / "evaluate" / "differences.csv"),
        scales=read_scales(scales_path) if scales_path.exists() else {},
        curves={stage: table for stage, table in found.items() if table is not None and table.rows},
        stage_metrics={stage: values for stage, values in metrics.items() if values},
        seconds=_read_seconds(results),
        student=config or {},
        student_weights=weights if weights.is_file() else None,
        few_labels=read_table(results / "few_labels" / "curve.csv"),
        comparison=read_table(results / "comparison" / "table.csv"),
        clips=_open(data / "clips.zarr"),
        targets=_open(data / "targets.zarr"),
        data_root=data,
    )


def _open(path: Path) -> Store | None:
    return open_store(path) if path.exists() else None


def _read_metrics(path: Path) -> dict[str, Scores]:
    values = read_json(path)
    if values is None:
        raise ReportError(f"{path} is missing; run the stage evaluate first")
    metrics: dict[str, Scores] = {name: scores for name, scores in values.items() if isinstance(scores, dict)}
    if "srcc" not in metrics.get("student", {}):
        raise ReportError(f"{path}: student.srcc is missing; it has {', '.join(metrics) or 'nothing'}")
    return metrics


def _read_differences(path: Path) -> dict[str, Interval]:
    table = read_table(path)
    if table is None:
        return {}
    columns = ("predictor", "srcc_difference", "low", "high")
    if table.header != columns:
        raise ReportError(f"{path}: got the header {','.join(table.header)}; expected {','.join(columns)}")
    differences = {}
    for number, (name, *texts) in enumerate(table.rows, start=2):
        value, low, high = (number_in(text, f"{path}, row {number}, {name}") for text in texts)
        differences[name] = Interval(value=value, low=low, high=high)
    return differences


def _read_seconds(results: Path) -> dict[str, float]:
    seconds = {}
    for stage in STAGES:
        path = results / stage / "timing.json"
        timing = read_json(path)
        if timing is None:
            continue
        value = timing.get("seconds")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ReportError(f"{path}: got seconds = {value!r}; expected a number")
        seconds[stage] = float(value)
    return seconds
