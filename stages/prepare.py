"""Stage ``prepare``: a data set's files in; ``data/videos.csv``, ``data/labels.csv`` and ``data/dataset.json`` out.

A picture of the data set is drawn beside its metrics.
"""

from pipeline.core.files import write_json
from pipeline.core.manifest import DATA_ROOT, write_labels, write_scales, write_videos
from pipeline.preparation.overview import draw_overview
from pipeline.preparation.prepare import prepare, summary
from stages import run_stage, timed
from stages.params import load_params


def main() -> None:
    """Collects, checks and splits the selected data set."""
    params = load_params()
    with timed("prepare") as results:
        tables = prepare(params.prepare, DATA_ROOT, workers=params.runtime.workers)
        write_videos(DATA_ROOT / "videos.csv", tables.videos)
        write_labels(DATA_ROOT / "labels.csv", tables.labels)
        write_scales(DATA_ROOT / "dataset.json", tables.scales)
        draw_overview(results / "overview.png", tables.videos, tables.labels, tables.scales)
        write_json(results / "metrics.json", summary(tables))


if __name__ == "__main__":
    run_stage(main)
