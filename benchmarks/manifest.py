"""Time and memory of ``prepare`` with very many videos; ``python -m benchmarks.manifest`` prints one JSON document.

The videos are raw files of one frame of 2x2 px, so that what is measured is the manifest's own work. The second run
finds every file unchanged.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core import registry
from pipeline.core.manifest import read_labels, read_videos, write_labels, write_videos
from pipeline.preparation.datasets.shared.entry import Survey
from pipeline.preparation.prepare import Tables, prepare
from pipeline.preparation.settings import PrepareSettings, Split

_HOUR_NS = 3600 * 10**9


def measure(folder: Path, num_videos: int, workers: int) -> dict[str, Any]:
    """Lays out the videos and prepares them twice.

    Args:
        folder: an empty one.
        num_videos: how many.
        workers: processes.

    Returns:
        Seconds of each step, CPU seconds of all processes, and the peak memory of this one in bytes.
    """
    _lay_out(folder / "raw/csv", num_videos)
    settings = PrepareSettings(
        dataset="csv",
        options={"csv": {"low": 1.0, "high": 5.0}},
        seed=1,
        split=Split(val=0.15, test=0.25),
        labelled_fraction=1.0,
    )
    module = registry.find("preparation.datasets", "csv")
    options = module.Settings.parse(settings.options["csv"], "prepare.options.csv")
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[name] = round(time.perf_counter() - start, 2)
        return result

    found: Survey = timed("data check", lambda: module.survey(options, folder))
    if found.present != num_videos:
        raise SystemExit(f"{found.present} of {num_videos} videos were found")
    tables: Tables = timed("first prepare", lambda: prepare(settings, folder, workers=workers))
    again = timed("prepare with nothing changed", lambda: prepare(settings, folder, workers=workers))
    if again != tables:
        raise SystemExit("the two runs differ")
    timed("write tables", lambda: _write(folder, tables))
    timed("read tables", lambda: (read_videos(folder / "videos.csv"), read_labels(folder / "labels.csv")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = round(sum(usage.ru_utime + usage.ru_stime for usage in spent))
    result = {"videos": num_videos, "workers": workers, "seconds": seconds, "cpu_seconds": cpu}
    return {**result, "peak_memory_bytes": peak}


def _lay_out(folder: Path, num_videos: int) -> None:
    """Files that differ, an hour old, in folders of a thousand, and their table."""
    rows = ["path,mos"]
    changed_ns = time.time_ns() - _HOUR_NS
    for number in range(num_videos):
        path = folder / f"{number // 1000:03d}/{number:06d}_2x2.yuv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(6, "big"))
        os.utime(path, ns=(changed_ns, changed_ns))
        rows.append(f"{path.relative_to(folder).as_posix()},{1 + number % 5}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _write(folder: Path, tables: Tables) -> None:
    write_videos(folder / "videos.csv", tables.videos)
    write_labels(folder / "labels.csv", tables.labels)


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="manifest-") as folder:
        print(json.dumps(measure(Path(folder), arguments.videos, arguments.workers), indent=1))


if __name__ == "__main__":
    main()
