"""``report``: draws what people look at, ``results/report/index.html``, from what the other stages left."""

from pathlib import Path

from cache.store.errors import CacheError
from pipeline.reporting import write_report
from stages import run_stage, timed
from stages.params import load_params


def main() -> None:
    """Reads ``report:`` of ``params.yaml`` and writes the page."""
    with timed("report") as results:
        write_report(Path(), load_params().report, results / "index.html")


if __name__ == "__main__":
    run_stage(main, CacheError)
