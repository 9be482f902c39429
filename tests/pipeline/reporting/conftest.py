"""A small run, as the stages would leave it, for the report to read."""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cache.build import build_store
from cache.store import ArraySpec, Failed, Rows, Unit
from pipeline.core.manifest import Label, ScoreScale, Video, write_labels, write_scales, write_videos

CODECS = {"h264": 0.0, "hevc": 3.0, "vp9": 5.0, "av1": 8.0}
LEVELS = (20, 26, 32, 38, 44, 50)
SCORE_NAME = "pseudo-MOS (MS-SSIM)"
FAILED_VIDEO = "content-01_av1_50"


def true_score(content: int, codec: str, level: float) -> float:
    return float(100.0 / (1.0 + np.exp((level - 36.0 - CODECS[codec] - content) / 5.0)))


def small_run(
    root: Path, *, num_contents: int = 2, codecs: Sequence[str] = ("h264", "av1"), clip_size: int = 28
) -> Path:
    """Writes everything that the stages leave for the report."""
    generator = np.random.default_rng(3)
    videos, labels, predictions, details = [], [], [], []
    for content in range(num_contents):
        for codec in codecs:
            for level in LEVELS:
                name = f"content-{content:02d}_{codec}_{level}"
                mos = true_score(content, codec, level)
                teacher, student = mos + generator.normal(0, 4.0), 0.9 * mos + 5 + generator.normal(0, 7.0)
                videos.append(_video(name))
                labels.append(_label(name, mos, f"content-{content:02d}", codec, str(level)))
                predictions.append([name, repr(mos), repr(float(teacher)), repr(float(student))])
                rate = (1000 + 400 * content) * 2 ** (-(level + CODECS[codec]) / 6)
                out = str(int(level == 50))
                details.append([name, f"{student - 15:.4f}", f"{student + 15:.4f}", out, f"{rate:.3f}", "0" * 16])
    data, results = root / "data", root / "results"
    write_videos(data / "videos.csv", videos)
    write_labels(data / "labels.csv", labels)
    write_scales(data / "dataset.json", {"embedded": ScoreScale(score_name=SCORE_NAME, low=0.0, high=100.0)})
    _write_csv(results / "evaluate" / "predictions.csv", ["video_id", "mos", "teacher", "student"], predictions)
    header = ["video_id", "low", "high", "out_of_domain", "kilobits_per_second", "model"]
    _write_csv(results / "evaluate" / "details.csv", header, details)
    _write_results(results)
    _write_student(root / "models" / "student")
    _write_stores(data, [video.video_id for video in videos], clip_size)
    return root


def write_json(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


def _video(name: str) -> Video:
    return Video(
        video_id=name,
        path=f"videos/{name}.mp4",
        sha256=name.encode().hex().ljust(64, "0")[:64],
        dataset="embedded",
        width=320,
        height=180,
        fps=24.0,
        num_frames=24,
        pix_fmt="yuv420p",
    )


def _label(name: str, mos: float, content: str, codec: str, level: str) -> Label:
    return Label(video_id=name, mos=mos, content=content, codec=codec, level=level, split="test", labelled=True)


def _write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_results(results: Path) -> None:
    names = {
        "student": 0.86,
        "teacher": 0.93,
        "mean": 0.0,
        "bits_per_pixel": 0.61,
        "hand_features": 0.75,
        "crf_codec": 0.87,
        "baseline": 0.82,
    }
    scores = {
        name: {
            "srcc": value,
            "srcc_low": value - 0.05,
            "srcc_high": min(1.0, value + 0.04),
            "krcc": value * 0.8,
            "plcc_raw": value - 0.02,
            "plcc_logistic4": value + 0.01,
            "rmse_raw": 20.0 - 12 * value,
            "rmse_logistic4": 19.0 - 12 * value,
        }
        for name, value in names.items()
    }
    write_json(results / "evaluate" / "metrics.json", scores)
    _write_csv(
        results / "evaluate" / "differences.csv",
        ["predictor", "srcc_difference", "low", "high"],
        [
            [name, repr(0.86 - value), repr(0.8 - value), repr(0.9 - value)]
            for name, value in names.items()
            if 0.0 < value != 0.86
        ],
    )
    write_json(
        results / "distill" / "metrics.json",
        {"parameters": 1234567, "flops": 2.5e9, "best_epoch": 17, "clip_seconds": 0.0123},
    )
    write_json(results / "adapt" / "metrics.json", {"parameters": 5810000, "best_epoch": 4})
    write_json(results / "extract" / "metrics.json", {"rows": 768, "failed": 0, "clips_per_second": 311.2})
    for stage, seconds in zip(("prepare", "render", "adapt", "extract", "distill", "evaluate"), _SECONDS, strict=True):
        write_json(results / stage / "timing.json", {"seconds": seconds})
    for stage, epochs in (("adapt", 6), ("distill", 30)):
        rows = [
            [str(epoch), f"{1.5 / epoch:.5f}", f"{0.2 + 1.2 / epoch:.5f}", f"{0.9 - 0.8 / epoch:.5f}"]
            for epoch in range(1, epochs + 1)
        ]
        header = ["epoch", "train_loss", "val_loss", "val_srcc"]
        _write_csv(results / stage / "curves.csv", header, rows)


_SECONDS = (88.0, 31.4, 64.2, 9.1, 142.7, 6.6)


def _write_student(folder: Path) -> None:
    calibration = {"low": -3.2, "high": 104.0, "slope": 1.7, "offset": -0.1, "residual_std": 6.4, "num_videos": 96}
    write_json(folder / "config.json", {"student": "internvideo2", "calibrations": {"embedded": calibration}})
    (folder / "model.safetensors").write_bytes(b"weights")


def _write_stores(data: Path, names: list[str], size: int) -> None:
    shape = (4, size, size, 3)
    clips = ArraySpec("main", "uint8", shape, ("t", "h", "w", "c"), {"view": {"policy": "fragments"}, "version": 1})
    units = [Unit(name, name.encode().hex(), name.encode().hex(), 1) for name in names]

    def pixels(jobs):
        for index, job in enumerate(jobs):
            if job.unit.video_id == FAILED_VIDEO:
                yield job, Failed("truncated after frame 3")
                continue
            ramp = np.linspace(0, 255, size, dtype=np.uint8)
            clip = np.broadcast_to(ramp[:, None, None], shape).copy()
            clip[..., 1] = (37 * index) % 256
            yield job, Rows({"main": clip[None]}, {})

    build_store(
        data / "clips.zarr", kind="clips", specs=[clips], units=units, compute=pixels, pool=None, max_failed=len(names)
    )
    teacher = {"weights": "ab" * 32, "architecture": {"name": "internvideo2_tiny", "depth": 5}, "precision": "float32"}
    embedding = ArraySpec("embedding", "float32", (8,), ("d",), teacher)

    def embed(jobs):
        for job in jobs:
            yield job, Rows({"embedding": np.ones((1, 8), np.float32)}, {})

    build_store(data / "targets.zarr", kind="targets", specs=[embedding], units=units, compute=embed, pool=None)


@pytest.fixture(scope="session")
def _finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run_root(_finished_run: Path, tmp_path: Path) -> Path:
    """A complete run in a folder of its own, which a test may change."""
    return Path(shutil.copytree(_finished_run, tmp_path / "run"))


@pytest.fixture
def rewrite() -> Callable[[Path, Callable[[str], str]], None]:
    """Changes a text file through a function."""

    def change(path: Path, how: Callable[[str], str]) -> None:
        path.write_text(how(path.read_text(encoding="utf-8")), encoding="utf-8")

    return change
