"""Whole frames of the few videos that the page shows, from their files: what a person recognises.

The pixels that the models saw are in the store; these are for the eye alone. A file is decoded in a process of its
own, since it may be hostile, and is shown only while it is the one that the manifest names.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.files import file_digest
from pipeline.core.manifest import ManifestError, Video, resolve
from pipeline.video.decoder import DecodeError, DecodeOptions, options_for
from pipeline.video.decoders import auto
from pipeline.video.pictures import Picture
from pipeline.video.resampling import axis, resample
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

LONGEST_SIDE_PX = 480
_LIMITS = Limits(seconds=60.0, memory_bytes=4 << 30, cpu_seconds=120.0)
Frame = NDArray[np.uint8]


def middle_frames(videos: Sequence[Video], data_root: Path) -> Mapping[str, Frame | str]:
    """The middle frame of each video.

    Args:
        videos: rows of ``videos.csv``.
        data_root: the folder that their paths are relative to.

    Returns:
        ``video_id`` → uint8 ``h w 3``, scaled down to at most ``LONGEST_SIDE_PX`` by `resample`; or why there is none.
    """
    found: dict[str, Frame | str] = {}
    tasks: list[tuple[Path, str, DecodeOptions]] = []
    asked: list[str] = []
    for video in videos:
        try:
            path = resolve(data_root, video.path)
        except ManifestError as error:
            found[video.video_id] = str(error)
            continue
        if not path.is_file():
            found[video.video_id] = "its file is not there"
            continue
        options = options_for(video.path, video.width, video.height, video.fps, video.pix_fmt)
        tasks.append((path, video.sha256, options))
        asked.append(video.video_id)
    for task, outcome in LocalWorkers(1, _LIMITS).map(middle_frame, tasks):
        found[asked[task]] = outcome.reason if isinstance(outcome, Lost) else outcome
    return found


def middle_frame(task: tuple[Path, str, DecodeOptions]) -> Frame | str:
    """Decodes one; what the worker process does.

    Args:
        task: the file, the SHA-256 that the manifest has of it, and how it is decoded.
    """
    path, sha256, options = task
    try:
        if file_digest(path) != sha256:
            return "its file has changed"
        with auto.open(path, options=options) as video:
            _, picture = next(iter(video.frames([video.info.num_frames // 2])))
            return _small(picture)
    except (DecodeError, OSError) as error:
        return str(error)


def _small(picture: Picture) -> Frame:
    share = min(1.0, LONGEST_SIDE_PX / max(picture.height, picture.width))
    rows, columns = (
        axis(side, small, 0, small, "bilinear", True)
        for side in (picture.height, picture.width)
        for small in [max(1, round(side * share))]
    )
    return resample(picture, [(rows, columns)])[0]
