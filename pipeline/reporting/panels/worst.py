"""Panel: the worst predictions, with frames."""

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.reporting.panels.shared import frames
from pipeline.reporting.panels.shared.originals import middle_frames
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run


def worst(
    predictions: Sequence[Prediction], count: int, length_of: Callable[[str], float] = lambda _: 1.0
) -> list[Prediction]:
    """The ``count`` videos with the largest absolute error, the largest first.

    Args:
        predictions: the test split.
        count: how many.
        length_of: data set → length of its scale, so that errors on different scales compare.
    """
    return sorted(predictions, key=lambda row: (-abs(row.error) / length_of(row.dataset), row.video_id))[:count]


def _worst_parts(run: Run, count: int) -> dict[str, Any]:
    view_set = frames.view_set_to_show(run.clips) if run.clips is not None else None
    chosen = worst(run.predictions, count, run.scale_length)
    originals = middle_frames([row.video for row in chosen if row.video is not None], run.data_root)
    rows = []
    for row in chosen:
        strip = frames.strip_of(run.clips, view_set, row.video_id) if run.clips is not None and view_set else None
        original = originals.get(row.video_id, "data/videos.csv is not there")
        whole = None if isinstance(original, str) else frames.as_strip([original])
        rows.append({"row": row, "strip": strip, "whole": whole, "why_not": original if whole is None else None})
    policy = frames.policy_of(run.clips, view_set) if run.clips is not None and view_set else None
    return {"worst": rows, "view_set": view_set, "policy": policy}
