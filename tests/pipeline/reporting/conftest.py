"""A small run, as the stages would leave it, for the report to read."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from cache.build import build_store
from cache.store import ArraySpec, Failed, Rows, Unit
from pipeline.core import files
from pipeline.core.manifest import Label, ScoreScale, Video, write_labels, write_scales, write_videos
from tests.tables import label_row, video_row

CODECS = {"h264": 0.0, "av1": 8.0}
LEVELS = (20, 26, 32, 38, 44, 50)
FAILED_VIDEO = "content-01_av1_50"
TEACHER = "ab" * 32
_SECONDS = {"prepare": 88.0, "render": 31.4, "adapt": 64.2, "extract": 9.1, "distill": 142.7, "evaluate": 6.6}
_SRCC = {
    "student": 0.86,
    "teacher": 0.93,
    "mean": 0.0,
    "bits_per_pixel": 0.61,
    "hand_features": 0.75,
    "crf_codec": 0.87,
    "baseline": 0.82,
}


def small_run(root: Path) -> Path:
    """Writes everything that the stages leave for the report: 24 test videos of two contents, by two codecs."""
    generator = np.random.default_rng(3)
    videos, labels, predictions, details = [], [], [], []
    for content in range(2):
        for codec, shift in CODECS.items():
            for level in LEVELS:
                name = f"content-{content:02d}_{codec}_{level}"
                mos = float(100.0 / (1.0 + np.exp((level - 36.0 - shift - content) / 5.0)))
                teacher, student = mos + generator.normal(0, 4.0), 0.9 * mos + 5 + generator.normal(0, 7.0)
                videos.append(_video(name))
                labels.append(_label(name, mos, f"content-{content:02d}", codec, str(level)))
                predictions.append({"video_id": name, "mos": mos, "teacher": teacher, "student": student})
                rate = (1000 + 400 * content) * 2 ** (-(level + shift) / 6)
                detail = {"low": student - 15, "high": student + 15, "out_of_domain": int(level == 50)}
                details.append({"video_id": name, **detail, "kilobits_per_second": round(rate, 3), "model": "0" * 16})
    data, results = root / "data", root / "results"
    write_videos(data / "videos.csv", videos)
    write_labels(data / "labels.csv", labels)
    scale = ScoreScale(score_name="pseudo-MOS (MS-SSIM)", low=0.0, high=100.0)
    write_scales(data / "dataset.json", {"embedded": scale})
    write_rows(results / "evaluate/predictions.csv", predictions)
    write_rows(results / "evaluate/details.csv", details)
    _write_results(results)
    student = root / "models/student"
    write_json(student / "config.json", {"student": "fragments", "provenance": {"distill": {"epochs": 30}}})
    (student / "model.safetensors").write_bytes(b"weights")
    _write_stores(data, [video.video_id for video in videos])
    return root


def write_json(path: Path, values: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, values)


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_rows(path, rows)


def _video(name: str) -> Video:
    return video_row(name, dataset="embedded", fps=24.0, num_frames=24)


def _label(name: str, mos: float, content: str, codec: str, level: str) -> Label:
    return label_row(name, mos=mos, content=content, codec=codec, level=level, split="test")


def _write_results(results: Path) -> None:
    scores = {
        name: {
            "srcc": value,
            "srcc_low": value - 0.05,
            "srcc_high": value + 0.04,
            "krcc": value * 0.8,
            "plcc_logistic4": value + 0.01,
            "rmse_raw": 20.0 - 12 * value,
            "rmse_logistic4": 19.0 - 12 * value,
        }
        for name, value in _SRCC.items()
    }
    scores["student"]["interval_coverage"] = 0.875
    write_json(results / "evaluate/metrics.json", scores)
    differences = [
        {"predictor": name, "srcc_difference": lead, "low": lead - 0.06, "high": lead + 0.06}
        for name, value in _SRCC.items()
        if name not in ("student", "mean")
        for lead in [0.86 - value]
    ]
    write_rows(results / "evaluate/differences.csv", differences)
    trained = {"parameters": 1234567, "flops": 2.5e9, "best_epoch": 17, "val_srcc": 0.9}
    write_json(results / "distill/metrics.json", trained)
    write_json(results / "adapt/metrics.json", {"parameters": 5810000, "best_epoch": 6})
    write_json(results / "extract/metrics.json", {"rows": 768, "failed": 2, "clips_per_second": 311.2})
    for stage, seconds in _SECONDS.items():
        write_json(results / stage / "timing.json", {"seconds": seconds})
    for stage, epochs in (("adapt", 6), ("distill", 30)):
        curve = [
            {"epoch": epoch, "train_loss": 1.5 / epoch, "val_loss": 0.2 + 1.2 / epoch, "val_srcc": 0.9 - 0.8 / epoch}
            for epoch in range(1, epochs + 1)
        ]
        write_rows(results / stage / "curves.csv", curve)


def _write_stores(data: Path, names: list[str]) -> None:
    shape = (4, 28, 28, 3)
    clips = ArraySpec("main", "uint8", shape, ("t", "h", "w", "c"), {"view": {"policy": "fragments"}, "version": 1})
    units = [Unit(name, name.encode().hex(), name.encode().hex(), 1) for name in names]

    def pixels(jobs):
        for index, job in enumerate(jobs):
            if job.unit.video_id == FAILED_VIDEO:
                yield job, Failed("truncated after frame 3")
            else:
                yield job, Rows({"main": np.full((1, *shape), (37 * index) % 256, np.uint8)}, {})

    build_store(
        data / "clips.zarr", kind="clips", specs=[clips], units=units, compute=pixels, pool=None, max_failed=len(names)
    )
    teacher = {"weights_sha256": TEACHER, "preprocessing": {"family": "internvideo2_tiny"}, "precision": "float32"}
    embedding = ArraySpec("embedding", "float32", (8,), ("d",), teacher)

    def embed(jobs):
        for job in jobs:
            yield job, Rows({"embedding": np.ones((1, 8), np.float32)}, {})

    build_store(data / "targets.zarr", kind="targets", specs=[embedding], units=units, compute=embed, pool=None)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run that no test may change."""
    return small_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run_root(finished_run: Path, tmp_path: Path) -> Path:
    """A complete run in a folder of its own, which a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def rewrite() -> Callable[[Path, Callable[[str], str]], None]:
    """Changes a text file through a function."""

    def change(path: Path, how: Callable[[str], str]) -> None:
        path.write_text(how(path.read_text(encoding="utf-8")), encoding="utf-8")

    return change
