"""What changed between two versions of a data set: videos, scores, splits, scales."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.manifest import Label, ScoreScale, Video, labels_of, read_labels, read_scales, read_videos

TABLES = ("videos.csv", "labels.csv", "dataset.json")


@dataclass(frozen=True, kw_only=True)
class Version:
    """The tables of one version.

    Attributes:
        videos: ordered by ``video_id``.
        labels: in the same order.
        scales: data set → scale.
    """

    videos: Sequence[Video]
    labels: Sequence[Label]
    scales: Mapping[str, ScoreScale]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One value that changed.

    Attributes:
        video_id: of the video.
        old: as it was.
        new: as it is.
    """

    video_id: str
    old: Any
    new: Any


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All that changed from one version to another.

    Attributes:
        added: videos that only the new version has.
        removed: videos that only the old one has.
        renamed: videos that only their name tells apart: old and new name.
        replaced: videos whose file has other bytes.
        moved: videos whose file lies elsewhere, its bytes unchanged.
        relabelled: videos with another score.
        split: videos in another split.
        labelled: videos whose score may, or may not, be used now.
        described: videos with another content, codec, level or further score.
        scales: data sets whose scale differs, or that only one version has.
        to_compute: how many videos of the new version have bytes that the old one has nowhere: those that render
            decodes and the teacher sees.
    """

    added: list[str]
    removed: list[str]
    renamed: list[Change]
    replaced: list[str]
    moved: list[Change]
    relabelled: list[Change]
    split: list[Change]
    labelled: list[Change]
    described: list[Change]
    scales: list[str]
    to_compute: int

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return any(value for name, value in vars(self).items() if name != "to_compute")


def read_version(folder: Path) -> Version:
    """Reads the tables of a folder.

    Raises:
        ManifestError: one is missing or malformed.
    """
    videos = read_videos(folder / TABLES[0])
    return Version(
        videos=videos, labels=labels_of(videos, read_labels(folder / TABLES[1])), scales=read_scales(folder / TABLES[2])
    )


def compare_versions(old: Version, new: Version) -> Difference:
    """Says what changed.

    Args:
        old: the earlier version.
        new: the later one.
    """
    old_videos = {video.video_id: video for video in old.videos}
    new_videos = {video.video_id: video for video in new.videos}
    old_labels = {label.video_id: label for label in old.labels}
    both = [video for video in new.videos if video.video_id in old_videos]
    added = [name for name in new_videos if name not in old_videos]
    removed = [name for name in old_videos if name not in new_videos]
    renamed = _renamed([old_videos[name] for name in removed], [new_videos[name] for name in added])
    digests = {video.sha256 for video in old.videos}
    pairs = [(old_labels[label.video_id], label) for label in new.labels if label.video_id in old_labels]
    names = sorted({*old.scales, *new.scales})
    return Difference(
        added=[name for name in added if name not in {change.new for change in renamed}],
        removed=[name for name in removed if name not in {change.old for change in renamed}],
        renamed=renamed,
        replaced=[video.video_id for video in both if old_videos[video.video_id].sha256 != video.sha256],
        moved=[
            Change(video_id=video.video_id, old=before.path, new=video.path)
            for video in both
            if (before := old_videos[video.video_id]).path != video.path and before.sha256 == video.sha256
        ],
        relabelled=_changes(pairs, "mos"),
        split=_changes(pairs, "split"),
        labelled=_changes(pairs, "labelled"),
        described=[change for name in ("content", "codec", "level", "scores") for change in _changes(pairs, name)],
        scales=[name for name in names if old.scales.get(name) != new.scales.get(name)],
        to_compute=len({video.sha256 for video in new.videos} - digests),
    )


def _changes(pairs: Sequence[tuple[Label, Label]], name: str) -> list[Change]:
    return [
        Change(video_id=new.video_id, old=getattr(old, name), new=getattr(new, name))
        for old, new in pairs
        if getattr(old, name) != getattr(new, name)
    ]


def _renamed(removed: Sequence[Video], added: Sequence[Video]) -> list[Change]:
    """Pairs of a removed and an added name whose files have the same bytes, each name in one pair."""
    waiting: dict[str, list[str]] = {}
    for video in removed:
        waiting.setdefault(video.sha256, []).append(video.video_id)
    return [
        Change(video_id=video.video_id, old=waiting[video.sha256].pop(0), new=video.video_id)
        for video in added
        if waiting.get(video.sha256)
    ]
