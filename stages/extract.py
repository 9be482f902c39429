"""Stage ``extract``, "once": the teacher's outputs for every clip into ``data/targets.zarr``."""

import argparse
from pathlib import Path

from cache.store.errors import CacheError
from pipeline.core.files import write_json
from pipeline.core.manifest import DATA_ROOT
from pipeline.teachers.extraction.extract import extract
from pipeline.teachers.extraction.extractor import Plan
from pipeline.teachers.extraction.tuning import dry_run, propose
from pipeline.teachers.shared.saved import load_teacher
from stages import run_stage, timed
from stages.params import load_params


def main() -> None:
    """Computes what the pool lacks, and writes the target store.

    ``--dry-run`` only prints what that would be, ``--tune`` only proposes ``extract.videos_per_batch``.
    """
    parser = argparse.ArgumentParser(prog="python -m stages.extract", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="print rows, bytes and estimated hours; write nothing")
    parser.add_argument("--tune", action="store_true", help="measure batches of several sizes and propose one")
    arguments = parser.parse_args()
    params = load_params()
    plan = Plan(
        teacher=load_teacher(Path("models/teacher")),
        clips=DATA_ROOT / "clips.zarr",
        settings=params.extract,
        device=params.runtime.device,
    )
    if arguments.dry_run:
        print(dry_run(plan, DATA_ROOT / "targets.zarr", params.runtime))
        return
    if arguments.tune:
        print(propose(plan).text())
        return
    with timed("extract") as results:
        write_json(results / "metrics.json", extract(plan, DATA_ROOT / "targets.zarr", params.runtime))


if __name__ == "__main__":
    run_stage(main, CacheError)
