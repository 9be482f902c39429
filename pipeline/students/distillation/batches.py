"""Batches for training: which videos and rows are shown, and reading the next batch while one is computed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.models.staging import ahead
from pipeline.models.training import TrainingError
from pipeline.students.data.batch import Batch
from pipeline.students.data.rows import AlignedData, VideoRows
from pipeline.students.losses.shared.weighting import WeightedLosses


def training_videos(data: AlignedData, losses: WeightedLosses, *, views: int | None = None) -> list[VideoRows]:
    """The videos that some loss can learn from.

    Args:
        data: the run's rows.
        losses: that are switched on.
        views: how many of a video's rows are used, the first ones; None uses all.

    Raises:
        TrainingError: no loss is switched on, or there is no video to train or validate on.
    """
    if not losses.terms:
        raise TrainingError(
            "every weight in distill.losses is 0, or of a loss for which this student has nothing to compare; give "
            "another loss a weight"
        )
    labelled = data.split("train", labelled=True)
    if "mos" in losses.needs and len(labelled) < 2:
        raise TrainingError(
            f"{len(labelled)} labelled training videos, which the losses that read MOS cannot learn from; "
            "raise prepare.labelled_fraction, or set their weights to 0"
        )
    if len(data.split("val", labelled=True)) < 2:
        raise TrainingError("fewer than 2 labelled validation videos; raise prepare.split.val")
    only_mos = set(losses.needs) == {"mos"}
    videos = labelled if only_mos else data.split("train")
    if not videos:
        raise TrainingError("there is no training video; lower prepare.split.val or .test")
    return videos if views is None else [replace(entry, rows=entry.rows[:views]) for entry in videos]


def epoch_rows(videos: Sequence[VideoRows], length: int, generator: np.random.Generator) -> np.ndarray:
    """What one epoch shows: the videos in random order, each through one of its views.

    Args:
        videos: to be shown.
        length: clips of the epoch. Where it is more than the videos, they come again in another order, so that an epoch
            is equally many steps however few of them have a score.
        generator: of the order and the views.

    Returns:
        int64, shape ``(length,)``, rows of the stores.
    """
    rounds = -(-length // len(videos))
    order = np.concatenate([generator.permutation(len(videos)) for _ in range(rounds)])[:length]
    draws = generator.random(length)
    chosen = [videos[index].rows for index in order]
    return np.array([rows[min(int(draw * len(rows)), len(rows) - 1)] for rows, draw in zip(chosen, draws, strict=True)])


def prefetched(
    data: AlignedData, batches: Sequence[np.ndarray], needs: Sequence[str], *, process: tuple[int, int] = (0, 1)
) -> Iterator[Batch]:
    """Gathers batches, each while the caller still works on the one before it.

    Args:
        data: where the rows are.
        batches: the rows of each batch, over all processes.
        needs: the columns that the losses read.
        process: index of this process and number of processes; each takes its share of every batch's rows, and a
            batch with fewer rows than processes is left out.

    Returns:
        This process's part of each batch, on the CPU.
    """
    index, count = process
    shares = [batch[index::count] for batch in batches if len(batch) >= count]
    return ahead((data.batch(share, needs) for share in shares), depth=1)
