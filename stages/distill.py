"""Stage ``distill``: a student trained from clips, cached targets and labels; ``models/student/`` out. No teacher."""

import sys
from pathlib import Path

from cache.errors import CacheError
from pipeline.aligned import DataPaths
from pipeline.model_card import write_model_card
from pipeline.params import load_params
from pipeline.records import replacing_folder, timed, write_json
from pipeline.tables import write_rows
from pipeline.training import distil
from stages import run_stage

STUDENT = Path("models/student")


def main() -> None:
    """Trains the selected student and calibrates it on the validation split."""
    params = load_params()
    with timed("distill") as results:
        result = distil(params.distill, DataPaths(), device=params.runtime.device)
        if not result.is_main_process:
            sys.exit()  # only the main process writes, its time too
        with replacing_folder(STUDENT) as folder:
            result.student.save_pretrained(folder)
            write_model_card(folder, result.student.config.to_dict())
        write_rows(results / "curves.csv", result.curves)
        write_rows(results / "step_time.csv", result.step_times.rows())
        write_json(results / "metrics.json", result.metrics)
        result.step_times.show()


if __name__ == "__main__":
    run_stage(main, CacheError)
