"""Least squares on the logarithm of the bits per pixel: what the file's size alone says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.manifest import resolve
from pipeline.evaluation.baselines.shared.fitting import BaselineError, least_squares, unit_scores
from pipeline.students.data.rows import AlignedData, VideoRows


def predict(
    train: Sequence[VideoRows], test: Sequence[VideoRows], data: AlignedData, data_root: Path
) -> np.ndarray | None:
    """Least squares on `log_bits_per_pixel`; None where a size is unknown."""
    train_x, x = log_bits_per_pixel(train, data_root), log_bits_per_pixel(test, data_root)
    return None if train_x is None or x is None else least_squares(train_x, unit_scores(train), x)


def log_bits_per_pixel(entries: Sequence[VideoRows], data_root: Path) -> np.ndarray | None:
    """A constant and the logarithm of the file's bits per pixel, shape ``(n, 2)``; None where a size is unknown.

    Raises:
        BaselineError: a video file is missing.
        ManifestError: a path leaves the data root.
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
