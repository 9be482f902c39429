"""Distortion-level groups of videos, for the losses that compare levels."""

from collections.abc import Sequence

import numpy as np

from pipeline.core.manifest import Label, Video

NUM_GROUPS = 4


def distortion_groups(videos: Sequence[Video], labels: Sequence[Label]) -> list[int]:
    """Sorts videos into groups of similar distortion, within each data set and codec.

    Numeric levels are divided by rank into four groups, from the lowest level up; other levels are a group each.

    Returns:
        One group per video, −1 where the level is unknown. Groups of different data sets never coincide.
    """
    members: dict[tuple[str, str], list[int]] = {}
    for index, (video, label) in enumerate(zip(videos, labels, strict=True)):
        if label.level:
            members.setdefault((video.dataset, label.codec), []).append(index)
    names: dict[int, tuple[str, str]] = {}
    for (dataset, _), indices in sorted(members.items()):
        levels = [labels[index].level for index in indices]
        for index, group in zip(indices, _level_groups(levels), strict=True):
            names[index] = (dataset, group)
    numbers = {name: number for number, name in enumerate(sorted(set(names.values())))}
    return [numbers[names[index]] if index in names else -1 for index in range(len(videos))]


def _level_groups(levels: Sequence[str]) -> list[str]:
    try:
        values = np.asarray([float(level) for level in levels])
    except ValueError:
        return list(levels)
    distinct = np.unique(values)
    if len(distinct) <= NUM_GROUPS:
        return [str(int(np.searchsorted(distinct, value))) for value in values]
    edges = np.quantile(values, np.arange(1, NUM_GROUPS) / NUM_GROUPS)
    return [str(int(group)) for group in np.searchsorted(edges, values, side="left")]
