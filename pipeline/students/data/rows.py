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

from cache.store import Store, open_store
from pipeline.core.errors import PipelineError, nearest
from pipeline.core.manifest import Label, ScoreScale, Video, labels_of, read_labels, read_scales, read_videos
from pipeline.students.data.batch import COLUMNS, Batch
from pipeline.students.data.groups import distortion_groups

OK = 1
CLIP_DIGEST = "clip_digest"
"""The column of the targets' store that names the pixels each row was computed from."""
_SHOWN = 5


class AlignmentError(PipelineError):
    """Clips, targets and labels do not belong together, or lack what a run needs."""


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
        return (self.label.mos - self.scale.low) / (self.scale.high - self.scale.low)


class AlignedData:
    """The rows of a run.

    Attributes:
        clips: the store of clips.
        targets: the store of targets.
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
        self.clips, self.targets = open_store(paths.clips), open_store(paths.targets)
        self.view_set, self._paths = view_set, paths
        if view_set not in self.clips.arrays:
            known = sorted(self.clips.arrays)
            raise AlignmentError(
                f"{paths.clips} has no view set {view_set!r}; it has {', '.join(known)}{nearest(view_set, known)}"
            )
        check_alignment(self.clips, self.targets)
        self._arrays: dict[str, np.ndarray] = {}
        tables = read_videos(paths.videos)
        labels, scales = labels_of(tables, read_labels(paths.labels)), read_scales(paths.scales)
        rows_of = self._usable_rows(tables)
        self.failed = {
            video.video_id: self._reason(video.video_id) for video in tables if not len(rows_of[video.video_id])
        }
        groups = distortion_groups(tables, labels)
        self.videos = [
            VideoRows(video, label, _scale(scales, video), group, rows_of[video.video_id])
            for video, label, group in zip(tables, labels, groups, strict=True)
            if len(rows_of[video.video_id])
        ]
        self.datasets = sorted({entry.video.dataset for entry in self.videos})
        self._dataset = np.zeros(len(self.clips), dtype=np.int64)
        self._mos = np.full(len(self.clips), np.nan)
        self._group = np.full(len(self.clips), -1, dtype=np.int64)
        for entry in self.videos:
            self._group[entry.rows] = entry.group
            self._dataset[entry.rows] = self.datasets.index(entry.video.dataset)
            if entry.unit_mos is not None:
                self._mos[entry.rows] = entry.unit_mos

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """Of one clip, ``(t, h, w, c)``."""
        frames, height, width, channels = self.clips.arrays[self.view_set].shape
        return frames, height, width, channels

    @property
    def grid(self) -> int:
        """Fragments per side of a clip; 1 where a clip is one piece of its video."""
        return int(self.clips.fingerprint[self.view_set].get("view", {}).get("grid", 1))

    @property
    def target_dim(self) -> int:
        """Width of the cached embedding that a student is to match.

        Raises:
            AlignmentError: neither ``embedding_normed`` nor ``embedding`` is cached.
        """
        for name in ("embedding_normed", "embedding"):
            if name in self.targets.arrays:
                return self.targets.arrays[name].shape[-1]
        raise AlignmentError("the targets hold no embedding; add 'embedding_normed' to extract.kinds")

    def split(self, name: str, *, labelled: bool = False) -> list[VideoRows]:
        """The videos of one split, ordered by ``video_id``.

        Args:
            name: ``train``, ``val`` or ``test``.
            labelled: only those whose score may be used.
        """
        chosen = [entry for entry in self.videos if entry.label.split == name]
        return [entry for entry in chosen if entry.unit_mos is not None] if labelled else chosen

    def target(self, name: str) -> np.ndarray:
        """A whole target array in RAM, float32, one row per clip; NaN where the row failed.

        Raises:
            AlignmentError: the store does not have it.
        """
        if name == "teacher_score":
            return self._teacher_score()
        shape = self.target_shape(name)
        if name not in self._arrays:
            rows = np.flatnonzero(np.asarray(self.targets.status) == OK)
            values = np.full((len(self.targets), *shape), np.nan, dtype=np.float32)
            values[rows] = self.targets.read(name, rows)
            self._arrays[name] = values
        return self._arrays[name]

    def target_shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of a target.

        Raises:
            AlignmentError: the store does not have it.
        """
        if name == "teacher_score":
            return self._teacher_score().shape[1:]
        if name not in self.targets.arrays:
            known = sorted(self.targets.arrays)
            raise AlignmentError(
                f"the targets have no {name!r}; they have {', '.join(known)}{nearest(name, known)}; "
                f"add it to extract.kinds"
            )
        return self.targets.arrays[name].shape

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
            targets={name: torch.from_numpy(self._target_rows(name, rows)) for name in needs if name not in COLUMNS},
            group=torch.from_numpy(self._group[rows]),
            dataset=torch.from_numpy(self._dataset[rows]),
        )

    def _target_rows(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Usable rows of a target, float32, from the store: dense tokens of a large set do not go into RAM whole."""
        if name == "teacher_score":
            return self._teacher_score()[rows]
        self.target_shape(name)
        return self.targets.read(name, rows).astype(np.float32)

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

    def _teacher_score(self) -> np.ndarray:
        """The teacher's logit, brought to the unit scale by the least-squares line on labelled training rows."""
        if "teacher_score" not in self._arrays:
            logits = self.target("logits")
            if logits.shape[1:] != (1,):
                raise AlignmentError(
                    f"the teacher has {logits.shape[-1]} outputs, which are no score; adapt it (adapt.epochs above 0) "
                    "or set the weight of the loss 'teacher_score' to 0"
                )
            entries = self.split("train", labelled=True)
            if len(entries) < 2:
                raise AlignmentError(f"{len(entries)} labelled training videos; teacher scores need at least 2")
            rows, own = np.concatenate([entry.rows for entry in entries]), logits[:, 0]
            line = np.linalg.lstsq(
                np.stack([own[rows].astype(np.float64), np.ones(len(rows))], axis=1), self._mos[rows], rcond=None
            )[0]
            self._arrays["teacher_score"] = (own * line[0] + line[1]).astype(np.float32)
        return self._arrays["teacher_score"]

    def _usable_rows(self, videos: Sequence[Video]) -> dict[str, np.ndarray]:
        usable = (np.asarray(self.clips.status) == OK) & (np.asarray(self.targets.status) == OK)
        known = {video.video_id for video in videos}
        stored = set(self.clips.video_ids)
        if known != stored:
            odd = sorted(known ^ stored)
            raise AlignmentError(
                f"videos.csv and the clips differ in {len(odd)} videos, such as {', '.join(odd[:_SHOWN])}; "
                "run render and extract again"
            )
        rows_of = {name: self.clips.rows_of(name) for name in sorted(known)}
        return {name: rows[usable[rows]] for name, rows in rows_of.items()}

    def _reason(self, video_id: str) -> str:
        rows = self.clips.rows_of(video_id)
        texts = [store.reasons[row] for store in (self.clips, self.targets) for row in rows if store.reasons[row]]
        return texts[0] if texts else "no usable row"


def check_alignment(clips: Store, targets: Store) -> None:
    """Checks that each row of the targets was computed from the pixels in the same row of the clips.

    The teacher may have seen another view set than the student does; the pixels are those of one view set throughout.

    Raises:
        AlignmentError: names the first rows that differ.
    """
    keys = [list(zip(store.video_ids, (int(view) for view in store.views), strict=True)) for store in (clips, targets)]
    if keys[0] != keys[1]:
        shared = range(min(len(rows) for rows in keys))
        wrong = [row for row in shared if keys[0][row] != keys[1][row]]
        first = f"; first at row {wrong[0]}: {keys[0][wrong[0]]} against {keys[1][wrong[0]]}" if wrong else ""
        raise AlignmentError(
            f"clips have {len(keys[0])} rows and targets {len(keys[1])}, and their keys (video, view) differ{first}; "
            "run extract again"
        )
    both = (np.asarray(clips.status) == OK) & (np.asarray(targets.status) == OK)
    recorded = np.asarray(targets.column(CLIP_DIGEST), dtype=str)
    misfits: dict[str, np.ndarray] = {}
    for name in clips.arrays:
        wrong_rows = np.flatnonzero(both & (np.asarray(clips.row_digests(name), dtype=str) != recorded))
        if not len(wrong_rows):
            return
        misfits[name] = wrong_rows
    name, rows = min(misfits.items(), key=lambda item: len(item[1]))
    shown = ", ".join(f"{row} ({clips.video_ids[row]}, view {int(clips.views[row])})" for row in rows[:_SHOWN])
    raise AlignmentError(
        f"the targets were not computed from these clips: {len(rows)} of {int(both.sum())} rows have other pixels "
        f"(nearest view set {name!r}), such as row {shown}; run extract again"
    )


def _scale(scales: Mapping[str, ScoreScale], video: Video) -> ScoreScale:
    if video.dataset not in scales:
        raise AlignmentError(f"dataset.json has no scale for the data set {video.dataset!r}; run prepare again")
    return scales[video.dataset]
