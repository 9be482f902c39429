"""The labelled clips that a teacher is adapted on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.store import OK, Store
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import labels_of, read_labels, read_scales, read_videos


class AdaptationError(PipelineError):
    """The teacher cannot be adapted with these settings and data."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The clips of one split whose scores may be used.

    Attributes:
        rows: int64 ``videos views``, rows of the clip store.
        mos: float32 ``videos``, mapped to 0 .. 1 by the data set's scale.
    """

    rows: NDArray[np.int64]
    mos: NDArray[np.float32]

    def first_views(self, count: int | None) -> "Labelled":
        """The same videos with their first views alone; None takes all."""
        return replace(self, rows=self.rows[:, :count])


def labelled_clips(store: Store, tables: Path, split: str) -> Labelled:
    """The clips of a split whose scores may be used; videos that failed to render are left out.

    Raises:
        AdaptationError: there are fewer than two.
    """
    videos = read_videos(tables / "videos.csv")
    labels = labels_of(videos, read_labels(tables / "labels.csv"))
    scales = read_scales(tables / "dataset.json")
    rows, mos = [], []
    for video, label in zip(videos, labels, strict=True):
        of_video = store.rows_of(video.video_id)
        if label.split == split and label.labelled and label.mos is not None and np.all(store.status[of_video] == OK):
            rows.append(of_video)
            mos.append(scales[video.dataset].to_unit(label.mos))
    if len(rows) < 2:
        raise AdaptationError(
            f"got {len(rows)} labelled videos in the {split} split, expected at least 2; "
            "raise prepare.labelled_fraction or the split's share"
        )
    return Labelled(rows=np.stack(rows), mos=np.array(mos, dtype=np.float32))
