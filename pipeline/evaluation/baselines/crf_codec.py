"""Least squares on codec and level: what the encoder's settings alone say, without a pixel.

No one who only has the video knows them. On a ladder of encodes they are hard to beat, and the table should say so.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.evaluation.baselines.shared.fitting import least_squares, unit_scores
from pipeline.students.data.rows import AlignedData, VideoRows


def predict(
    train: Sequence[VideoRows], test: Sequence[VideoRows], data: AlignedData, data_root: Path
) -> np.ndarray | None:
    """Least squares on `levels_by_codec`; None where a level is not a number."""
    codecs = sorted({entry.label.codec for entry in train})
    train_x, x = levels_by_codec(train, codecs), levels_by_codec(test, codecs)
    return None if train_x is None or x is None else least_squares(train_x, unit_scores(train), x)


def levels_by_codec(entries: Sequence[VideoRows], codecs: Sequence[str]) -> np.ndarray | None:
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
