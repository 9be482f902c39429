"""What a run left behind: the files of ``data/``, ``models/`` and ``results/`` as plain values.

Only ``results/evaluate/`` is needed. Everything else may be absent, and the page is then shorter; a file that is there
but malformed is an error.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, FiniteFloat

from cache.store import Store, open_store
from pipeline.core.agreement import Interval
from pipeline.core.files import file_digest
from pipeline.core.manifest import ScoreScale, read_scales
from pipeline.reporting.files import ReportError, read_columns, read_json, read_rows
from pipeline.reporting.predictions import Prediction, read_predictions

Scores = Mapping[str, float | None]
STAGES = ("prepare", "render", "adapt", "extract", "distill", "evaluate")
_CODE = ("pipeline", "stages", "cache", "params.yaml", "dvc.yaml")
_GIT_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """The test videos of one data set; data sets share no scale, so they share no axes.

    Attributes:
        key: unique on the page, for the names of figures.
        dataset: its name; empty where ``videos.csv`` is absent.
        score_name: what its scores are called.
        length: from the worst to the best score of its scale; None where the scale is not known.
        predictions: ordered by ``video_id``.
    """

    key: str
    dataset: str
    score_name: str
    length: float | None
    predictions: list[Prediction]


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that the page is made from.

    Attributes:
        metrics: predictor → metric → value, from ``results/evaluate/metrics.json``; means over the data sets.
        differences: predictor → SRCC of the student minus its SRCC, with the bounds of the paired 95 % interval.
        predictions: the test split, ordered by ``video_id``.
        scales: data set → its score's name and range; empty when ``dataset.json`` is absent.
        curves: ``adapt`` and ``distill`` → column of ``curves.csv`` → values, where there are any.
        stage_metrics: stage → the scalars of its ``metrics.json``.
        seconds: stage → how long it took.
        student: ``models/student/config.json``, or empty.
        student_weights: ``models/student/model.safetensors``, or None.
        clips: the store of pixels, or None.
        targets: the store of teacher outputs, or None.
        root: of the project.
        revision: the commit of the code, with a remark when files differ from it; None outside git.
    """

    metrics: dict[str, Scores]
    predictions: list[Prediction]
    differences: dict[str, Interval] = field(default_factory=dict)
    scales: dict[str, ScoreScale] = field(default_factory=dict)
    curves: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    stage_metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)
    student_weights: Path | None = None
    clips: Store | None = None
    targets: Store | None = None
    root: Path = Path()
    revision: str | None = None

    @property
    def parts(self) -> list[Part]:
        """The test split by data set, sorted by name."""
        datasets = sorted({row.dataset for row in self.predictions})
        return [
            Part(
                key=str(index),
                dataset=dataset,
                score_name=scale.score_name if scale else "MOS",
                length=(scale.high - scale.low) or None if scale else None,
                predictions=[row for row in self.predictions if row.dataset == dataset],
            )
            for index, dataset in enumerate(datasets)
            for scale in [self._scale(dataset)]
        ]

    @property
    def score_name(self) -> str:
        """What the scores of the test split are called; several names are joined."""
        return " / ".join(dict.fromkeys(part.score_name for part in self.parts))

    @property
    def teacher(self) -> Mapping[str, Any]:
        """The fingerprint of the cached embedding (else of the first array); empty without targets."""
        fingerprints = self.targets.fingerprint if self.targets is not None else {}
        return fingerprints.get("embedding") or next(iter(fingerprints.values()), {})

    @property
    def dataset_digest(self) -> str | None:
        """SHA-256 of ``data/videos.csv``, which lists the digest of every video; None where it is absent."""
        path = self.root / "data" / "videos.csv"
        return file_digest(path) if path.exists() else None

    def _scale(self, dataset: str) -> ScoreScale | None:
        if dataset in self.scales:
            return self.scales[dataset]
        return next(iter(self.scales.values())) if not dataset and len(self.scales) == 1 else None


class _Timing(BaseModel):
    seconds: FiniteFloat


class _Difference(BaseModel):
    """A row of ``differences.csv``."""

    predictor: str
    srcc_difference: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


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
    weights, scales = model / "model.safetensors", data / "dataset.json"
    curves = {stage: read_columns(results / stage / "curves.csv") for stage in ("adapt", "distill")}
    metrics = {stage: read_json(results / stage / "metrics.json", dict[str, Any]) for stage in STAGES}
    seconds = {stage: read_json(results / stage / "timing.json", _Timing) for stage in STAGES}
    return Run(
        metrics=_predictor_metrics(metrics.pop("evaluate"), results / "evaluate" / "metrics.json"),
        predictions=read_predictions(results / "evaluate" / "predictions.csv", data),
        differences={
            row.predictor: Interval(value=row.srcc_difference, low=row.low, high=row.high)
            for row in read_rows(results / "evaluate" / "differences.csv", _Difference)
        },
        scales=read_scales(scales) if scales.exists() else {},
        curves={stage: columns for stage, columns in curves.items() if columns},
        stage_metrics={stage: values for stage, values in metrics.items() if values},
        seconds={stage: timing.seconds for stage, timing in seconds.items() if timing},
        student=read_json(model / "config.json", dict[str, Any]) or {},
        student_weights=weights if weights.is_file() else None,
        clips=_open(data / "clips.zarr"),
        targets=_open(data / "targets.zarr"),
        root=root,
        revision=git_revision(root),
    )


def git_revision(root: Path) -> str | None:
    """The commit that is checked out, with a remark when code or settings differ from it; None outside git."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *_CODE)
    return f"{commit} with uncommitted changes to code or settings" if changed else commit


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _open(path: Path) -> Store | None:
    return open_store(path) if path.exists() else None


def _predictor_metrics(values: dict[str, Any] | None, path: Path) -> dict[str, Scores]:
    if values is None:
        raise ReportError(f"{path} is missing; run the stage evaluate first")
    metrics: dict[str, Scores] = {name: scores for name, scores in values.items() if isinstance(scores, dict)}
    if "srcc" not in metrics.get("student", {}):
        raise ReportError(f"{path}: student.srcc is missing; it has {', '.join(metrics) or 'nothing'}")
    return metrics
