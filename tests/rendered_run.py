"""A small data set of real videos, rendered, with stand-in targets, for tests from a file to its score."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from cache.build import Pool
from pipeline.core.manifest import ScoreScale, write_labels, write_scales, write_videos
from pipeline.core.settings import RuntimeSettings
from pipeline.rendering.render import render
from pipeline.students.data.rows import DataPaths
from stages.params import load_params
from tests.scoring_models import POLICY
from tests.tables import label_row, video_row
from tests.tiny_run import PARAMS, write_targets

SPLITS = ("train", "train", "train", "val")


def write_run(root: Path, count: int, make: Callable[[Path, int], int]) -> DataPaths:
    """Real videos, rendered, with targets.

    Args:
        root: a folder.
        count: of the videos, each a content; one in four validates, the others train.
        make: writes the video of a number, 96x64 at 25 frames per second, and says how many frames it has.
    """
    data = root / "data"
    (data / "videos").mkdir(parents=True)
    videos, labels = [], []
    for number in range(count):
        path = f"videos/v{number:02d}.mp4"
        num_frames = make(data / path, number)
        name = f"v{number:02d}"
        digest = hashlib.sha256((data / path).read_bytes()).hexdigest()
        videos.append(video_row(name, sha256=digest, width=96, height=64, num_frames=num_frames))
        about = {"content": f"c{number}", "level": str(number), "split": SPLITS[number % 4]}
        labels.append(label_row(name, mos=90.0 - 15.0 * (number % 5), **about))
    paths = DataPaths.below(data)
    write_videos(paths.videos, videos)
    write_labels(paths.labels, labels)
    write_scales(paths.scales, {"x": ScoreScale(score_name="MOS", low=0.0, high=100.0)})
    render(
        load_params(PARAMS).render.model_copy(update={"views_per_video": 2}),
        {"main": POLICY},
        videos,
        data_root=data,
        store=paths.clips,
        runtime=RuntimeSettings.parse(load_params(PARAMS).runtime.model_dump() | {"workers": 1}, "runtime"),
        pool=Pool(root / "pool"),
    )
    write_targets(paths, kinds=("embedding_normed", "logits"))
    return paths
