"""An epoch of ``distill`` from the cache, against the same loop on tensors that are already in RAM."""

from collections.abc import Iterable, Iterator
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.harness import Figure, Setting, at_most, workshop
from benchmarks.material import distill_settings, train_anew, write_run
from pipeline.core.manifest import Split
from pipeline.students.data.batch import Batch
from pipeline.students.data.rows import AlignedData, DataPaths
from pipeline.students.distillation import distill as training
from pipeline.students.distillation.settings import DistillSettings

LIMIT = "the same loop with every clip and target a tensor in RAM: the student's own arithmetic"
_EPOCHS = 3


class InRam(AlignedData):
    """The same data with all that a batch can hold as tensors in RAM, read before training begins."""

    def __init__(self, paths: DataPaths, view_set: str) -> None:
        super().__init__(paths, view_set)
        self._tensors: Batch | None = None

    def batch(self, rows: np.ndarray, needs: Iterable[str] = ()) -> Batch:
        """As ``AlignedData.batch``."""
        if self._tensors is None:
            self._tensors = super().batch(np.arange(len(self.clips)), needs)
        every, index = self._tensors, torch.from_numpy(rows)
        return Batch(
            clips=every.clips[index],
            mos=every.mos[index],
            labelled=every.labelled[index],
            targets={name: values[index] for name, values in every.targets.items()},
            group=None if every.group is None else every.group[index],
        )


def figures(setting: Setting) -> Iterator[Figure]:
    """The default student and settings; the first epoch, which checks every chunk it meets, is a figure of its own."""
    splits: dict[Split, int] = {"train": setting.size(96, 4), "val": 2, "test": 2}
    data = write_run(setting.folder, splits=splits)
    root = data.parent
    paths = DataPaths.below(data)
    settings = distill_settings(epochs=_EPOCHS, threads=1, patience=None)
    ours: list[list[float]] = []
    limit: list[list[float]] = []
    with workshop(root):
        for turn in range(setting.rounds):
            sides = [(AlignedData, ours), (InRam, limit)]
            for kind, seconds in sides if turn % 2 else sides[::-1]:
                seconds.append(epoch_seconds(settings, paths, kind))
    for what, goal, chosen in (
        ("a later epoch of distill", at_most(1.05), slice(1, None)),
        ("the first epoch of distill, which checks every chunk", None, slice(0, 1)),
    ):
        ratios = [sum(mine[chosen]) / sum(theirs[chosen]) for mine, theirs in zip(ours, limit, strict=True)]
        yield Figure(
            what=what,
            against="the same loop on tensors in RAM",
            ratios=ratios,
            goal=goal,
            detail={
                "ours_seconds": float(np.median([np.mean(times[chosen]) for times in ours])),
                "clips": splits["train"],
            },
        )


def epoch_seconds(settings: DistillSettings, paths: DataPaths, kind: type[AlignedData]) -> list[float]:
    """Trains, and adds up the steps of each epoch: waiting for data and computing."""
    with patch.object(training, "AlignedData", kind):
        result = train_anew(settings, paths)
    times = result.step_times
    steps = np.array(times.data_wait) + np.array(times.compute)
    return [float(part.sum()) for part in np.split(steps, settings.epochs)]
