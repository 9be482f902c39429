"""Least squares on the logarithm of the bits per pixel: what the file's size alone says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.manifest import resolve
from pipeline.evaluation.baselines.shared.fitting import BaselineError
from pipeline.students.data.rows import VideoRows


def bits_per_pixel(entries: Sequence[VideoRows], data_root: Path) -> np.ndarray | None:
    """A constant and the logarithm of the file's bits per pixel, shape ``(n, 2)``; None where a size is unknown.

    Raises:
        BaselineError: a video file is missing.
    """
    values = []
    for entry in entries:
        video = entry.video
        if not (video.width and video.height and video.num_frames):
            return None
        try:
            size = resolve(data_root, video.path).stat().st_size
        except OSError as error:
            raise BaselineError(
                f"bits per pixel needs the size of {video.path}: {error.strerror}; fetch the videos (dvc pull)"
            ) from None
        values.append(np.log(max(8.0 * size, 1.0) / (video.width * video.height * video.num_frames)))
    return np.stack([np.ones(len(values)), np.array(values)], axis=1)
