"""Which rows of clips and targets belong together and can be used.

Wrong pairs train a student without a word, so stores that do not fit are refused.
"""

from collections.abc import Sequence

import numpy as np

from cache.store import OK, Store
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import CLIP_DIGEST, Video

_SHOWN = 5


class AlignmentError(PipelineError):
    """Clips, targets and labels do not belong together, or lack what a run needs."""


def check_alignment(clips: Store, targets: Store) -> None:
    """Checks that each row of the targets was computed from the pixels in the same row of the clips.

    The teacher may have seen another view set than the student does; the pixels are those of one view set throughout.

    Raises:
        AlignmentError: names the first rows that differ.
    """
    keys = [list(zip(store.video_ids, (int(view) for view in store.views), strict=True)) for store in (clips, targets)]
    if keys[0] != keys[1]:
        shared = range(min(len(rows) for rows in keys))
        wrong = [row for row in shared if keys[0][row] != keys[1][row]]
        first = f"; first at row {wrong[0]}: {keys[0][wrong[0]]} against {keys[1][wrong[0]]}" if wrong else ""
        raise AlignmentError(
            f"clips have {len(keys[0])} rows and targets {len(keys[1])}, and their keys (video, view) differ{first}; "
            "run extract again"
        )
    both = _usable(clips, targets)
    recorded = np.asarray(targets.column(CLIP_DIGEST), dtype=str)
    misfits: dict[str, np.ndarray] = {}
    for name in clips.arrays:
        wrong_rows = np.flatnonzero(both & (np.asarray(clips.row_digests(name), dtype=str) != recorded))
        if not len(wrong_rows):
            return
        misfits[name] = wrong_rows
    name, rows = min(misfits.items(), key=lambda item: len(item[1]))
    shown = ", ".join(f"{row} ({clips.video_ids[row]}, view {int(clips.views[row])})" for row in rows[:_SHOWN])
    raise AlignmentError(
        f"the targets were not computed from these clips: {len(rows)} of {int(both.sum())} rows have other pixels "
        f"(nearest view set {name!r}), such as row {shown}; run extract again"
    )


def usable_rows(clips: Store, targets: Store, videos: Sequence[Video]) -> dict[str, np.ndarray]:
    """Of each video the rows whose clip and targets are both there, by ``video_id``.

    Raises:
        AlignmentError: the stores hold other videos.
    """
    known, stored = {video.video_id for video in videos}, set(clips.video_ids)
    if known != stored:
        odd = sorted(known ^ stored)
        raise AlignmentError(
            f"videos.csv and the clips differ in {len(odd)} videos, such as {', '.join(odd[:_SHOWN])}; "
            "run render and extract again"
        )
    usable = _usable(clips, targets)
    rows_of = {name: clips.rows_of(name) for name in sorted(known)}
    return {name: rows[usable[rows]] for name, rows in rows_of.items()}


def why_unusable(clips: Store, targets: Store, video_id: str) -> str:
    """The first reason that a store has for a video's rows."""
    rows = clips.rows_of(video_id)
    texts = [store.reasons[row] for store in (clips, targets) for row in rows if store.reasons[row]]
    return texts[0] if texts else "no usable row"


def _usable(clips: Store, targets: Store) -> np.ndarray:
    return (np.asarray(clips.status) == OK) & (np.asarray(targets.status) == OK)
