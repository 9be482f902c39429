"""Stage ``adapt``: the teacher's head and last blocks tuned on the labelled train split; ``models/teacher/`` out."""

from pathlib import Path

from cache.store.errors import CacheError
from pipeline.core.files import write_json
from pipeline.core.manifest import DATA_ROOT
from pipeline.teachers.adaptation.adapt import adapt
from stages import run_stage, timed
from stages.params import load_params


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
