"""Least squares on codec and level: what the encoder's settings alone say, without a pixel."""

from collections.abc import Sequence

import numpy as np

from pipeline.students.data.rows import VideoRows


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


def codecs_of(train: Sequence[VideoRows]) -> list[str]:
    return sorted({entry.label.codec for entry in train})
