"""Every file of a data set, looked at before hours are spent on it: hashed, opened, counted, its ends decoded.

Files that were looked at before and have not changed since (path, size, time, inode) are not read again.
"""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.datasets import Entry, RawFormat
from pipeline.decoders import DecodeError, DecodeOptions, check_ends, is_headerless, options_for
from pipeline.digests import file_digest
from pipeline.kept import FileIndex, file_key, kept_folder
from pipeline.manifest import Label, ManifestError, ScoreScale, Video, resolve
from pipeline.progress import track
from pipeline.workers import Limits, LocalWorkers, Lost

VERSION = 1
_LIMITS = Limits(seconds=3600.0, memory_bytes=4 << 30, cpu_seconds=7200.0)
"""Of one file."""
_KEPT_SECONDS = 30.0
"""What was found is kept as often, so that a run that ends early need not read those files again."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What is found in a file.

    Attributes:
        sha256: of its bytes.
        width: in px, as shown.
        height: in px.
        fps: None where unknown.
        num_frames: counted.
        pix_fmt: FFmpeg's name.
    """

    sha256: str
    width: int
    height: int
    fps: float | None
    num_frames: int
    pix_fmt: str


def identify(entries: Sequence[Entry], data_root: Path, *, workers: int) -> tuple[list[Video], list[str]]:
    """Looks at every file, in worker processes.

    Args:
        entries: of the data set.
        data_root: the folder that their paths are relative to.
        workers: processes; they change no result.

    Returns:
        The rows of ``videos.csv``, in the order of ``entries``, and every problem.
    """
    index = FileIndex(kept_folder(data_root))
    places = [_place(entry, data_root) for entry in entries]
    keys = [key for place in places if not isinstance(place, str) for key in [place[1]] if key]
    known = index.find(keys)
    outcomes: dict[int, FileFacts | str] = {}
    tasks: list[tuple[Path, DecodeOptions]] = []
    asked: list[int] = []
    for number, (entry, place) in enumerate(zip(entries, places, strict=True)):
        if isinstance(place, str):
            outcomes[number] = place
        elif place[1] in known:
            outcomes[number] = FileFacts(**known[place[1]])
        else:
            asked.append(number)
            tasks.append((place[0], _options(entry)))
    fresh: dict[str, dict[str, Any]] = {}
    kept = time.monotonic()
    with track("prepare: check files", len(tasks)) as advance:
        for task, outcome in LocalWorkers(workers, _LIMITS).map(look_at, tasks):
            number = asked[task]
            outcomes[number] = outcome.reason if isinstance(outcome, Lost) else outcome
            key = places[number][1]
            if isinstance(outcome, FileFacts) and key:
                fresh[key] = asdict(outcome)
            advance()
            if time.monotonic() - kept >= _KEPT_SECONDS:
                index.keep(fresh, current=keys)
                fresh, kept = {}, time.monotonic()
    index.keep(fresh, current=keys)
    return _videos(entries, outcomes)


def look_at(task: tuple[Path, DecodeOptions]) -> FileFacts | str:
    """Hashes a file, counts its frames and decodes the first and the last; what a worker process does.

    Returns:
        What was found, or what is wrong.
    """
    path, options = task
    try:
        digest = file_digest(path)
        info = check_ends(path, options)
    except DecodeError as error:
        return str(error)
    except OSError as error:
        return f"cannot read the file: {error.strerror}"
    return FileFacts(
        sha256=digest,
        width=info.width,
        height=info.height,
        fps=info.fps,
        num_frames=info.num_frames,
        pix_fmt=info.pix_fmt,
    )


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
    videos: Sequence[Video], labels: Sequence[Label], told: Mapping[str, str] | None = None
) -> list[str]:
    """Names the files that stand in two splits under different names; an empty list is good.

    Args:
        videos: of the manifest.
        labels: of all of them.
        told: video_id → how a message calls the video; by its name where it is left out.
    """
    labels_by_id = {label.video_id: label for label in labels}
    by_digest: dict[str, list[Label]] = defaultdict(list)
    for video in videos:
        by_digest[video.sha256].append(labels_by_id[video.video_id])
    return [
        f"{_listed(found, told or {})} are the same file in different splits; "
        "give them one content, or remove all but one"
        for found in by_digest.values()
        if len({label.split for label in found}) > 1
    ]


def _listed(labels: Sequence[Label], told: Mapping[str, str]) -> str:
    shown = " and ".join(f"{told.get(label.video_id, label.video_id)} ({label.split})" for label in labels[:4])
    return f"{shown} and {len(labels) - 4} more" if len(labels) > 4 else shown


def _place(entry: Entry, data_root: Path) -> tuple[Path, str | None] | str:
    """Path and index key of an entry's file, or what is wrong."""
    try:
        path = resolve(data_root, entry.path)
        if not path.is_file():
            return f"{path} is not a file"
        return path, file_key(path, json.dumps([VERSION, asdict(entry.raw) if entry.raw else None]))
    except ManifestError as error:
        return str(error)
    except OSError as error:
        return f"cannot read {entry.path}: {error.strerror}"


def _options(entry: Entry) -> DecodeOptions:
    raw = entry.raw or RawFormat()
    return options_for(entry.path, raw.width, raw.height, raw.fps, raw.pix_fmt)


def _videos(entries: Sequence[Entry], outcomes: Mapping[int, FileFacts | str]) -> tuple[list[Video], list[str]]:
    videos: list[Video] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        facts = outcomes[number]
        if isinstance(facts, str):
            problems.append(f"{entry.told}: {facts}")
            continue
        if entry.num_frames is not None and entry.num_frames != facts.num_frames:
            problems.append(
                f"{entry.told}: {entry.path} has {facts.num_frames} frames; its table claims {entry.num_frames}"
            )
        videos.append(Video(video_id=entry.video_id, path=entry.path, dataset=entry.dataset, **asdict(facts)))
    return videos, problems
