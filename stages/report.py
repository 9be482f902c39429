"""``report``: draws what people look at, ``results/report/index.html``, from what the other stages left."""

from pathlib import Path

from cache.errors import CacheError
from pipeline.params import load_params
from pipeline.records import timed
from pipeline.reporting import write_report
from stages import run_stage


def main() -> None:
    """Reads ``report:`` of ``params.yaml`` and writes the page."""
    with timed("report") as results:
        write_report(Path(), load_params().report, results / "index.html")


if __name__ == "__main__":
    run_stage(main, CacheError)
