"""What can be had without a student: predictors that every reported number stands beside.

Each is fitted on the labelled training videos and predicts on the unit scale. ``crf_codec`` and ``bits_per_pixel`` know
how a video was encoded, which no one who only has the video knows; on a ladder of encodes they are hard to beat, and
the table should say so.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.aligned import AlignedData, VideoRows
from pipeline.clip_statistics import clip_statistics
from pipeline.errors import PipelineError
from pipeline.manifest import resolve
from pipeline.probes import embeddings, ridge
from pipeline.progress import track


class BaselineError(PipelineError):
    """A baseline lacks what it predicts from."""


def baselines(data: AlignedData, entries: Sequence[VideoRows], data_root: Path) -> dict[str, np.ndarray]:
    """Every baseline that the data allow, by name.

    Args:
        data: the run's rows.
        entries: the videos to score.
        data_root: what the paths in ``videos.csv`` are relative to.

    Returns:
        ``mean``, ``bits_per_pixel``, ``hand_features``, ``crf_codec`` and ``baseline`` (ridge on cached embeddings) →
        scores on the unit scale, float64, shape ``(n,)``. ``crf_codec`` is absent where a level is not a number, and
        ``bits_per_pixel`` where a size is unknown.

    Raises:
        BaselineError: there are fewer than two labelled training videos.
        ManifestError: a path leaves the data root.
    """
    train = data.split("train", labelled=True)
    if len(train) < 2:
        raise BaselineError(f"{len(train)} labelled training videos; baselines need at least 2")
    mos = np.array([entry.unit_mos for entry in train], dtype=np.float64)
    results = {"mean": np.full(len(entries), mos.mean())}
    features: dict[str, Callable[[Sequence[VideoRows]], np.ndarray | None]] = {
        "bits_per_pixel": lambda videos: bits_per_pixel(videos, data_root),
        "crf_codec": lambda videos: crf_codec(videos, _codecs(train)),
    }
    for name, feature in features.items():
        train_x, x = feature(train), feature(entries)
        if train_x is not None and x is not None:
            results[name] = least_squares(train_x, mos, x)
    hand = hand_features(data, [*train, *entries])
    results["hand_features"] = ridge(hand[: len(train)], mos, hand[len(train) :])
    results["baseline"] = ridge(embeddings(data, train), mos, embeddings(data, entries))
    return results


def least_squares(train_x: np.ndarray, train_y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Predicts by ordinary least squares; the features are expected to hold their own constant."""
    weights = np.linalg.lstsq(train_x, train_y, rcond=None)[0]
    return np.asarray(x @ weights)


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


def crf_codec(entries: Sequence[VideoRows], codecs: Sequence[str]) -> np.ndarray | None:
    """For each codec a constant and the level, shape ``(n, 2 + 2·codecs)``; None where a level is not a number.

    The first two columns, shared by all, are what a codec that training never saw is predicted from.

    Args:
        entries: the videos.
        codecs: the codecs of the training videos.
    """
    rows = []
    for entry in entries:
        try:
            level = float(entry.label.level)
        except ValueError:
            return None
        own = [[1.0, level] if entry.label.codec == codec else [0.0, 0.0] for codec in codecs]
        rows.append(np.concatenate([[1.0, level], *own]))
    return np.stack(rows)


def hand_features(data: AlignedData, entries: Sequence[VideoRows]) -> np.ndarray:
    """`clip_statistics` of the stored pixels, the mean over a video's views.

    Args:
        data: the run's rows.
        entries: the videos.

    Returns:
        float64, shape ``(n, 69)``.
    """
    features = []
    with track("evaluate: hand features", len(entries)) as advance:
        for entry in entries:
            clips = data.clips.read(data.view_set, entry.rows)
            features.append(np.mean([clip_statistics(clip) for clip in clips], axis=0))
            advance()
    return np.stack(features)


def _codecs(train: Sequence[VideoRows]) -> list[str]:
    return sorted({entry.label.codec for entry in train})
