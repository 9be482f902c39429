"""Another data set of the default's generator, with its clips, in a folder of its own."""

from pathlib import Path
from typing import Any

from pipeline.aligned import DataPaths
from pipeline.manifest import write_labels, write_scales, write_videos
from pipeline.params import Params
from pipeline.preparation import prepare
from pipeline.rendering import render, view_policies

DATASET = "embedded"


def generate(params: Params, data: Path, options: dict[str, Any]) -> DataPaths:
    """Makes the data set's tables, videos and clips.

    Args:
        params: split, views and workers.
        data: a folder for all of it; what is there already is used again.
        options: every setting of ``embedded`` that is not its default.

    Returns:
        Where all of it lies; there are no targets yet.
    """
    settings = params.prepare.model_copy(update={"dataset": DATASET, "options": {DATASET: options}})
    tables = prepare(settings, data, workers=params.runtime.workers)
    paths = DataPaths.below(data)
    write_videos(paths.videos, tables.videos)
    write_labels(paths.labels, tables.labels)
    write_scales(paths.scales, tables.scales)
    policies = view_policies(params.render, params.adapt.teacher)
    render(params.render, policies, tables.videos, data_root=data, store=paths.clips, runtime=params.runtime)
    return paths
