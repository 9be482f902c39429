"""Every file of a data set, looked at before hours are spent on it: hashed, opened, counted, its ends decoded.

Files that were looked at before and have not changed since (path, size, time, inode) are not read again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.core.manifest import Label, ScoreScale, Video
from pipeline.preparation.datasets.shared.entry import Entry, RawFormat
from pipeline.preparation.files import identify
from pipeline.video.decoder import is_headerless

_USUAL_SCALES = ((0.0, 1.0), (1.0, 5.0), (0.0, 5.0), (0.0, 10.0), (1.0, 11.0))
_LITTLE = 0.2
"""Share of a scale that scores of another, smaller one fill."""
_FEW = 4


def tables_problems(
    videos: Sequence[Video],
    labels: Sequence[Label],
    scales: Mapping[str, ScoreScale],
    data_root: Path,
    *,
    workers: int,
) -> list[str]:
    """Compares written tables with the files they name.

    Args:
        videos: of ``videos.csv``.
        labels: in the same order.
        scales: of ``dataset.json``.
        data_root: the folder that paths are relative to.
        workers: processes.

    Returns:
        Every problem; an empty list is good.
    """
    entries = [_as_entry(video, label) for video, label in zip(videos, labels, strict=True)]
    found, problems = identify(entries, data_root, workers=workers)
    by_id = {video.video_id: video for video in found}
    for video in videos:
        seen = by_id.get(video.video_id)
        if seen is not None and seen.sha256 != video.sha256:
            problems.append(f"{video.video_id}: {video.path} is not the file of the table; run prepare again")
    return [*problems, *score_problems(entries, scales), *duplicates_across_splits(videos, labels)]


def score_problems(entries: Sequence[Entry], scales: Mapping[str, ScoreScale]) -> list[str]:
    """Names each score that is outside the scale of its data set; an empty list is good."""
    problems = []
    for entry in entries:
        scale = scales.get(entry.dataset)
        if scale is None:
            problems.append(f"{entry.video_id}: the data set {entry.dataset!r} has no scale; run prepare again")
        elif entry.mos is not None and not scale.low <= entry.mos <= scale.high:
            problems.append(
                f"{entry.told}: {scale.score_name} is {entry.mos:g}; "
                f"the scale of {entry.dataset} is {scale.low:g} to {scale.high:g}"
            )
    return problems


def scale_warnings(entries: Sequence[Entry], scales: Mapping[str, ScoreScale]) -> list[str]:
    """Names each data set whose scores fill so little of its scale that they seem to lie on another.

    Scores from 1 to 5 on a scale from 0 to 100 are the usual slip.
    """
    warnings = []
    for name, scale in scales.items():
        scores = [scale.turned(entry.mos) for entry in entries if entry.dataset == name and entry.mos is not None]
        low, high, span = min(scores, default=0.0), max(scores, default=0.0), scale.high - scale.low
        usual = next(((a, b) for a, b in _USUAL_SCALES if a <= low and high <= b and b - a < _LITTLE * span), None)
        if len(scores) >= _FEW and usual is not None:
            found = f"{name}: the scores are {low:g} to {high:g}, the scale is {scale.low:g} to {scale.high:g}"
            remedy = f"set prepare.options.{name}.low and high to it"
            warnings.append(f"{found}; if they are of a scale from {usual[0]:g} to {usual[1]:g}, {remedy}")
    return warnings


def _as_entry(video: Video, label: Label) -> Entry:
    raw = RawFormat(width=video.width, height=video.height, fps=video.fps, pix_fmt=video.pix_fmt)
    return Entry(
        video_id=video.video_id,
        path=video.path,
        mos=label.mos,
        content=label.content,
        codec=label.codec,
        level=label.level,
        split=label.split,
        dataset=video.dataset,
        raw=raw if is_headerless(video.path) else None,
        num_frames=video.num_frames,
    )


def duplicates(videos: Sequence[Video]) -> list[list[str]]:
    """The names of videos that are one file, in groups of two or more."""
    by_digest: dict[str, list[str]] = defaultdict(list)
    for video in videos:
        by_digest[video.sha256].append(video.video_id)
    return [names for names in by_digest.values() if len(names) > 1]


def duplicates_across_splits(
    videos: Sequence[Video], labels: Sequence[Label], names: Mapping[str, str] | None = None
) -> list[str]:
    """Names the files that stand in two splits under different names; an empty list is good.

    Args:
        videos: of the manifest.
        labels: of all of them.
        names: video_id → how a message calls the video; by its name where it is left out.
    """
    labels_by_id = {label.video_id: label for label in labels}
    by_digest: dict[str, list[Label]] = defaultdict(list)
    for video in videos:
        by_digest[video.sha256].append(labels_by_id[video.video_id])
    return [
        f"{_listed(found, names or {})} are the same file in different splits; "
        "give them one content, or remove all but one"
        for found in by_digest.values()
        if len({label.split for label in found}) > 1
    ]


def _listed(labels: Sequence[Label], names: Mapping[str, str]) -> str:
    shown = " and ".join(f"{names.get(label.video_id, label.video_id)} ({label.split})" for label in labels[:4])
    return f"{shown} and {len(labels) - 4} more" if len(labels) > 4 else shown
