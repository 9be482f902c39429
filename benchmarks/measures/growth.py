"""How time and memory grow with the number of videos: what is linear, what is not, and what would break first.

Every stage's work per video is its own; what can grow faster is what looks at all of them: tables, the pool's look-up,
assembling and opening a store, its digest, the root document. That is measured here, on rows that cost nothing to
compute; 10^6 is reached by the root document alone, which is what an open store must read first.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, Setting, timed, workshop
from benchmarks.manifest import measure as measure_manifest
from benchmarks.material import EMBEDDING, SMALL_CLIP, distill_settings, train_anew, write_random_store, write_run
from benchmarks.measures.adapt import settings_for, tune
from benchmarks.measures.memory import high_water_bytes
from cache.build import Pool
from cache.store import ArraySpec, open_store
from cache.store.layout import Layout
from pipeline.core.manifest import Split, read_videos
from pipeline.students.data.rows import AlignedData, DataPaths
from pipeline.students.distillation.settings import DistillSettings
from stages import evaluate as evaluate_stage
from stages import report as report_stage

LIMIT = "ten times as long for ten times as many: linear growth is a ratio of 1"
_TRAINING_CLIP = (8, 56, 56, 3)
_PARAMS = Path(__file__).parents[2] / "params.yaml"
_TINY_CLIP = ArraySpec("clip", "uint8", (8, 64, 64, 3), ("t", "h", "w", "c"), {"benchmark": 2})


def figures(setting: Setting) -> Iterator[Figure]:
    """Each part at 10^2, 10^3 and 10^4 videos, two views of each; a ratio is the growth over a linear one.

    What is below the clock's or the memory counter's step at either size says nothing of growth.
    """
    sizes = [20, 60] if setting.small else [100, 1000, 10_000]
    for part in _PARTS:
        if part == "root" and not setting.small:
            sizes = [1000, 10_000, 100_000, 1_000_000]
        told = [_in_a_process(part, count, setting.folder / f"{part} {count}") for count in sizes]
        for name in told[0]:
            values = [one[name] for one in told]
            steps = [
                (after / before) / (larger / smaller)
                for (smaller, before), (larger, after) in _pairs(sizes, values)
                if before > 0 and after > 0
            ]
            if steps:
                yield Figure(
                    what=f"{part}: {name.replace('_', ' ')}",
                    against="linear growth",
                    ratios=steps,
                    detail={f"at_{count}": value for count, value in zip(sizes, values, strict=True)},
                )


def _pairs(sizes: list[int], values: list[float]) -> list[tuple[tuple[int, float], tuple[int, float]]]:
    points = list(zip(sizes, values, strict=True))
    return list(pairwise(points))


def _in_a_process(part: str, count: int, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.measures.growth", part, str(count), str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _manifest(folder: Path, count: int) -> dict[str, float]:
    told = measure_manifest(folder, count, 1)
    return {f"{name.replace(' ', '_')}_seconds": seconds for name, seconds in told["seconds"].items()}


def _rows(spec: ArraySpec) -> Callable[[Path, int], dict[str, float]]:
    """From nothing, unchanged, opened with its digest, verified."""

    def measure(folder: Path, count: int) -> dict[str, float]:
        path, pool = folder / "store.zarr", Pool(folder / "pool", durable=False)

        def build() -> Any:
            return write_random_store(path, num_videos=count, specs=[spec], pool=pool)

        told = {"build_seconds": timed(build)[0], "unchanged_build_seconds": timed(build)[0]}
        told["open_and_digest_seconds"] = timed(lambda: open_store(path).digest())[0]
        told["verify_seconds"] = timed(open_store(path).verify)[0]
        told["root_document_bytes"] = (path / "zarr.json").stat().st_size
        told["files"] = sum(1 for file in path.rglob("*") if file.is_file())
        return told

    return measure


def _training(folder: Path, count: int) -> dict[str, float]:
    """One epoch of the default student on tiny clips, with what a stage does before and after it."""
    with workshop(folder):
        data = _beside(write_run, folder, splits=_splits(count), clip_shape=_TRAINING_CLIP)
        paths = DataPaths.below(data)
        opening = timed(lambda: AlignedData(paths, "main"))[0]
        whole = timed(lambda: train_anew(_one_epoch(), paths))[0]
    return {"opening_seconds": opening, "one_epoch_seconds": whole}


def _adaptation(folder: Path, count: int) -> dict[str, float]:
    """One epoch of the default teacher's last block, one view of each labelled video."""
    with workshop(folder):
        data = _beside(write_run, folder, splits=_splits(count), num_views=1)
        return {"one_epoch_seconds": timed(lambda: tune(data, settings_for(epochs=1)))[0]}


def _last_stages(folder: Path, count: int) -> dict[str, float]:
    """Stages ``evaluate`` and ``report`` after a run on tiny clips, a quarter of them in the test split."""
    with workshop(folder):
        _beside(_write_finished_run, folder, count)
        return {"evaluate_seconds": timed(evaluate_stage.main)[0], "report_seconds": timed(report_stage.main)[0]}


def _write_finished_run(folder: Path, count: int) -> None:
    """What ``evaluate`` reads: tables, files, clips, targets and a student; the report has no other stage's results."""
    data = write_run(folder, splits=_splits(count), clip_shape=_TRAINING_CLIP)
    for video in read_videos(data / "videos.csv"):
        file = data / video.path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(video.video_id.encode())
    (folder / "params.yaml").write_bytes(_PARAMS.read_bytes())
    with workshop(folder):
        result = train_anew(_one_epoch(), DataPaths.below(data))
        result.student.save_pretrained(Path("models/student"))


def _splits(count: int) -> dict[Split, int]:
    return {"train": count * 6 // 10, "val": count * 15 // 100, "test": count // 4}


def _one_epoch() -> DistillSettings:
    return distill_settings(epochs=1, threads=1, warmup_epochs=0.0)


def _beside(make: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Calls a function in a process of its own, whose memory is not counted."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as maker:
        return maker.submit(make, *given, **named).result()


def _root(folder: Path, count: int) -> dict[str, float]:
    """The part of the root document that has an entry per video: the digest of each clip file, written and read."""
    layout = Layout((SMALL_CLIP,), ("decoder",), 4 * count, 4)
    digests = {
        name: [f"{index:064x}" for index in range(stored.num_chunks)] for name, stored in layout.arrays().items()
    }
    path = folder / "root.json"
    write = timed(lambda: path.write_text(json.dumps(digests), encoding="utf-8"))[0]
    read = timed(lambda: json.loads(path.read_text(encoding="utf-8")))[0]
    return {"write_seconds": write, "read_seconds": read, "bytes": path.stat().st_size}


_PARTS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "manifest": _manifest,
    "embeddings": _rows(EMBEDDING),
    "clips": _rows(_TINY_CLIP),
    "adapt": _adaptation,
    "distill": _training,
    "evaluate and report": _last_stages,
    "root": _root,
}


def _main(part: str, count: int, folder: Path) -> None:
    folder.mkdir(parents=True)
    before = high_water_bytes()
    told = _PARTS[part](folder, count)
    print(json.dumps(told | {"memory_bytes": float(high_water_bytes() - before)}))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
