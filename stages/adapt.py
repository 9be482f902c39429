"""Stage ``adapt``: the teacher's head and last blocks tuned on the labelled train split; ``models/teacher/`` out."""

from pathlib import Path

from cache.errors import CacheError
from pipeline.adaptation import adapt
from pipeline.manifest import DATA_ROOT
from pipeline.params import load_params
from pipeline.records import timed, write_json
from stages import run_stage


def main() -> None:
    """Adapts the teacher, or passes a checkpoint through."""
    params = load_params()
    with timed("adapt") as results:
        metrics = adapt(
            params.adapt,
            clips=DATA_ROOT / "clips.zarr",
            tables=DATA_ROOT,
            teacher=Path("models/teacher"),
            curves=results / "curves.csv",
            device=params.runtime.device,
        )
        write_json(results / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, CacheError)
