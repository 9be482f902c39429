"""Clips, cached targets and labels, side by side: what training, probes and evaluation read, and all that they read.

A row is one view of one video. The two stores must hold the same rows in the same order, and each target must have been
computed from the very pixels of its clip; anything else is refused, since wrong pairs train a student without a word.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import torch

from cache.store import open_store
from pipeline.core.errors import nearest
from pipeline.core.manifest import Label, ScoreScale, Video, labels_of, read_labels, read_scales, read_videos
from pipeline.students.data.alignment import AlignmentError, check_alignment, usable_rows, why_unusable
from pipeline.students.data.batch import COLUMNS, Batch
from pipeline.students.data.cached import CachedTargets
from pipeline.students.data.groups import distortion_groups


@dataclass(frozen=True)
class DataPaths:
    """Where a run's inputs lie."""

    videos: Path = Path("data/videos.csv")
    labels: Path = Path("data/labels.csv")
    scales: Path = Path("data/dataset.json")
    clips: Path = Path("data/clips.zarr")
    targets: Path = Path("data/targets.zarr")

    @classmethod
    def below(cls, folder: Path) -> Self:
        """The same names in another folder than ``data``."""
        return cls(**{field.name: folder / field.default.name for field in fields(cls)})


@dataclass(frozen=True)
class VideoRows:
    """A video with the rows that can be used: those whose clip and targets are both there."""

    video: Video
    label: Label
    scale: ScoreScale
    group: int
    rows: np.ndarray

    @property
    def unit_mos(self) -> float | None:
        """The score mapped so that its scale's ends are 0 and 1; None where it may not be used."""
        if not self.label.labelled or self.label.mos is None:
            return None
        return self.scale.to_unit(self.label.mos)


class AlignedData:
    """The rows of a run.

    Attributes:
        clips: the store of clips.
        targets: the store of targets.
        cached: what it holds, by name.
        view_set: the array of clips that is read.
        videos: every video that has at least one usable row, ordered by ``video_id``.
        failed: video → why it has none.
        datasets: the names of the data sets, ordered; a row's number in them is `Batch.dataset`.
    """

    def __init__(self, paths: DataPaths, view_set: str) -> None:
        """Opens and checks the inputs.

        Args:
            paths: of the inputs.
            view_set: the array of clips that is read.

        Raises:
            AlignmentError: the stores' rows differ, or the targets were computed from other pixels.
            ManifestError: a table is malformed.
            CacheError: a store is missing or damaged.
        """
        self.clips, self.targets, self.view_set = open_store(paths.clips), open_store(paths.targets), view_set
        if view_set not in self.clips.arrays:
            there = sorted(self.clips.arrays)
            raise AlignmentError(
                f"{paths.clips} has no view set {view_set!r}; it has {', '.join(there)}{nearest(view_set, there)}"
            )
        check_alignment(self.clips, self.targets)
        videos = read_videos(paths.videos)
        labels, scales = labels_of(videos, read_labels(paths.labels)), read_scales(paths.scales)
        rows_of = usable_rows(self.clips, self.targets, videos)
        self.failed = {
            name: why_unusable(self.clips, self.targets, name) for name, rows in rows_of.items() if not len(rows)
        }
        self.videos = [
            VideoRows(video, label, _scale(scales, video), group, rows_of[video.video_id])
            for video, label, group in zip(videos, labels, distortion_groups(videos, labels), strict=True)
            if video.video_id not in self.failed
        ]
        self.datasets = sorted({entry.video.dataset for entry in self.videos})
        self._mos = self._by_row(
            [np.nan if entry.unit_mos is None else entry.unit_mos for entry in self.videos], np.nan
        )
        self._group = self._by_row([entry.group for entry in self.videos], -1)
        self._dataset = self._by_row([self.datasets.index(entry.video.dataset) for entry in self.videos], 0)
        known = [(entry.rows, mos) for entry in self.split("train") if (mos := entry.unit_mos) is not None]
        self.cached = CachedTargets(self.targets, [rows for rows, _ in known], [mos for _, mos in known])

    def _by_row(self, values: Sequence[float], otherwise: float) -> np.ndarray:
        """A value per video as one per row of the stores."""
        found = np.full(len(self.clips), otherwise)
        for entry, value in zip(self.videos, values, strict=True):
            found[entry.rows] = value
        return found

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """Of one clip, ``(t, h, w, c)``."""
        frames, height, width, channels = self.clips.arrays[self.view_set].shape
        return frames, height, width, channels

    @property
    def grid(self) -> int:
        """Fragments per side of a clip; 1 where a clip is one piece of its video."""
        return int(self.clips.fingerprint[self.view_set].get("view", {}).get("grid", 1))

    def split(self, name: str, *, labelled: bool = False) -> list[VideoRows]:
        """The videos of one split, ordered by ``video_id``.

        Args:
            name: ``train``, ``val`` or ``test``.
            labelled: only those whose score may be used.
        """
        chosen = [entry for entry in self.videos if entry.label.split == name]
        return [entry for entry in chosen if entry.unit_mos is not None] if labelled else chosen

    def batch(self, rows: np.ndarray, needs: Iterable[str] = ()) -> Batch:
        """Gathers rows.

        Args:
            rows: integer, shape ``(b,)``.
            needs: the columns that the losses read.

        Returns:
            Tensors on the CPU.
        """
        mos = self._mos[rows]
        labelled = np.isfinite(mos)
        return Batch(
            clips=torch.from_numpy(np.ascontiguousarray(self.clips.read(self.view_set, rows))),
            mos=torch.from_numpy(np.where(labelled, mos, 0.0).astype(np.float32)),
            labelled=torch.from_numpy(labelled),
            targets={name: torch.from_numpy(self.cached.rows(name, rows)) for name in needs if name not in COLUMNS},
            group=torch.from_numpy(self._group[rows]),
            dataset=torch.from_numpy(self._dataset[rows]),
        )

    def digests(self) -> dict[str, str]:
        """Digests of what a training reads: the two stores, and the labels of training and validation."""
        return {"clips": self.clips.digest(), "targets": self.targets.digest(), "labels": self._labels_digest()}

    def _labels_digest(self) -> str:
        """SHA-256 of all that is used of the labels; nothing of the test split's."""
        used = [
            (entry.video.video_id, entry.label.split, entry.unit_mos, entry.group, vars(entry.scale))
            for entry in self.videos
            if entry.label.split != "test"
        ]
        return hashlib.sha256(json.dumps(used).encode()).hexdigest()


def _scale(scales: Mapping[str, ScoreScale], video: Video) -> ScoreScale:
    if video.dataset not in scales:
        raise AlignmentError(f"dataset.json has no scale for the data set {video.dataset!r}; run prepare again")
    return scales[video.dataset]
