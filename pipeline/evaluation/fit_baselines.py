"""What can be had without a student: predictors that every reported number stands beside.

Each is fitted on the labelled training videos and predicts on the unit scale. ``crf_codec`` and ``bits_per_pixel`` know
how a video was encoded, which no one who only has the video knows; on a ladder of encodes they are hard to beat, and
the table should say so.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.evaluation.baselines.bits_per_pixel import bits_per_pixel
from pipeline.evaluation.baselines.crf_codec import codecs_of, crf_codec
from pipeline.evaluation.baselines.hand_features import hand_features
from pipeline.evaluation.baselines.shared.fitting import BaselineError, least_squares
from pipeline.evaluation.baselines.shared.probes import embeddings, ridge
from pipeline.students.data.rows import AlignedData, VideoRows


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
        "crf_codec": lambda videos: crf_codec(videos, codecs_of(train)),
    }
    for name, feature in features.items():
        train_x, x = feature(train), feature(entries)
        if train_x is not None and x is not None:
            results[name] = least_squares(train_x, mos, x)
    hand = hand_features(data, [*train, *entries])
    results["hand_features"] = ridge(hand[: len(train)], mos, hand[len(train) :])
    results["baseline"] = ridge(embeddings(data, train), mos, embeddings(data, entries))
    return results
