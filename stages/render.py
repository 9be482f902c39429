"""Stage ``render``: ``data/videos.csv`` and the videos in; ``data/clips.zarr``, the pixels of every view, out."""

import sys

from cache.store.errors import CacheError
from pipeline.core.files import write_json
from pipeline.core.manifest import DATA_ROOT, read_videos
from pipeline.core.registry import find
from pipeline.rendering.render import render, view_policies
from stages import run_stage, timed
from stages.params import load_params


def main() -> None:
    """Decodes each video once and stores its views."""
    params = load_params()
    policies = view_policies(params.render, find("teachers", params.adapt.teacher).PREPROCESSING)
    videos = read_videos(DATA_ROOT / "videos.csv")
    with timed("render") as results:
        report = render(
            params.render,
            policies,
            videos,
            data_root=DATA_ROOT,
            store=DATA_ROOT / "clips.zarr",
            runtime=params.runtime,
        )
        write_json(results / "metrics.json", {"rows": report.rows, "failed": report.failed})
    print(
        f"render: {report.rows} rows: {report.computed} computed, {report.reused} from the pool, "
        f"{report.adopted} adopted, {report.failed} failed",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_stage(main, CacheError)
