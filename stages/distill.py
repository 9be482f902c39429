"""Stage ``distill``: a student trained from clips, cached targets and labels; ``models/student/`` out. No teacher."""

import sys
from pathlib import Path

from cache.store.errors import CacheError
from pipeline.core.files import replacing_folder, write_json, write_rows
from pipeline.students.data.rows import DataPaths
from pipeline.students.distillation.distill import distill
from stages import run_stage, timed
from stages.params import load_params

STUDENT = Path("models/student")


def main() -> None:
    """Trains the selected student and calibrates it on the validation split."""
    params = load_params()
    with timed("distill") as results:
        result = distill(params.distill, DataPaths(), device=params.runtime.device)
        if not result.is_main_process:
            sys.exit()  # only the main process writes, its time too
        with replacing_folder(STUDENT, durable=True) as folder:
            result.student.save_pretrained(folder)
        write_rows(results / "curves.csv", result.curves)
        write_rows(results / "step_time.csv", result.step_times.rows())
        write_json(results / "metrics.json", result.metrics)
        result.step_times.show()
        result.forget()


if __name__ == "__main__":
    run_stage(main, CacheError)
