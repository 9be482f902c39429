"""What can be had without a student: every baseline of the folder, fitted on the labelled training videos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.registry import find, names
from pipeline.evaluation.baselines.shared.fitting import BaselineError
from pipeline.students.data.rows import AlignedData, VideoRows

BASELINES = "evaluation.baselines"
"""The room whose files are the baselines."""


def baselines(data: AlignedData, entries: Sequence[VideoRows], data_root: Path) -> dict[str, np.ndarray]:
    """Every baseline that the data allow, by name.

    Args:
        data: the run's rows.
        entries: the videos to score.
        data_root: what the paths in ``videos.csv`` are relative to.

    Returns:
        Name → scores on the unit scale, float64, shape ``(n,)``.

    Raises:
        BaselineError: there are fewer than two labelled training videos, or a video file is missing.
        ManifestError: a path leaves the data root.
    """
    train = data.split("train", labelled=True)
    if len(train) < 2:
        raise BaselineError(
            f"{len(train)} labelled training videos; baselines need at least 2; raise prepare.labelled_fraction"
        )
    found = {name: find(BASELINES, name).predict(train, entries, data, data_root) for name in names(BASELINES)}
    return {name: values for name, values in found.items() if values is not None}
