"""What the file of a video says: its digest, geometry and frames, found in worker processes."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cache.store.scratch import scratch_folder
from pipeline.core.files import file_digest
from pipeline.core.manifest import ManifestError, Video, resolve
from pipeline.core.progress import track
from pipeline.preparation.datasets.shared.entry import Entry, RawFormat
from pipeline.preparation.file_index import FileIndex, file_key
from pipeline.video.decoder import DecodeError, DecodeOptions, options_for
from pipeline.video.decoders.auto import check_ends
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

VERSION = 2
"""2: frames are counted as they are shown."""


_LIMITS = Limits(seconds=3600.0, memory_bytes=4 << 30, cpu_seconds=7200.0)


"""Of one file."""


_KEPT_SECONDS = 30.0


"""What was found is stored as often, so that a run that ends early need not read those files again."""


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
    index = FileIndex(scratch_folder(data_root))
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
