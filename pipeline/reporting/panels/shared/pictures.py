"""Pictures of the few videos that the page shows: a whole frame, which a person recognises, and what the models saw.

What the models saw is in the store of pixels. A whole frame is decoded from the video's file, for the eye alone, in a
process of its own, since the file may be hostile, and only while it is the one that the manifest names.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.image import imsave
from numpy.typing import NDArray

from cache.store import Store
from pipeline.core.files import file_digest
from pipeline.core.manifest import ManifestError, Video, resolve
from pipeline.video.decoder import DecodeError, DecodeOptions, options_for
from pipeline.video.decoders import auto
from pipeline.video.pictures import Picture
from pipeline.video.resampling import axis, resample
from pipeline.workers.local import LocalWorkers
from pipeline.workers.tasks import Limits, Lost

LONGEST_SIDE_PX = 480
_OK = 1
_MAX_PX = 3 * 128 * 128
_MAX_FRAMES = 3
_GAP_PX = 2
_LIMITS = Limits(seconds=60.0, memory_bytes=4 << 30, cpu_seconds=120.0)

Frame = NDArray[np.uint8]
"""Shape ``h w 3``."""


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


def policy_of(clips: Store, view_set: str) -> str:
    """How a view set takes its pixels from a frame, such as ``resize`` or ``fragments``."""
    return str(clips.fingerprint[view_set]["view"]["policy"])


def view_set_to_show(clips: Store) -> str:
    """The view set that a person recognises best: the first of whole frames, or else of fragments of them."""
    return min(clips.arrays, key=lambda view_set: policy_of(clips, view_set) == "fragments")


def frames_of(clips: Store, view_set: str, video_id: str) -> Sequence[Frame]:
    """The middle frame of a video's view 0, with the first and the last where they are small.

    Returns:
        No frames where the store has no rendered row of the video.
    """
    row = int(np.asarray(clips.rows_of(video_id))[0]) if video_id in clips.video_ids else None
    if row is None or clips.status[row] != _OK:
        return []
    clip = clips.read(view_set, np.asarray([row]))[0]
    num_frames, height, width = clip.shape[:3]
    shown = min(_MAX_FRAMES, num_frames, max(1, _MAX_PX // (height * width)))
    places = [num_frames // 2] if shown == 1 else np.linspace(0, num_frames - 1, shown).round().astype(int).tolist()
    return [clip[place] for place in places]


def picture(frames: Sequence[Frame], alt: str) -> Markup:
    """Frames of one size side by side in the page, as PNG, so that no artefact is added to those of the video.

    Args:
        frames: between two there is a transparent gap, since fragments run into one another.
        alt: what a screen reader says.
    """
    height, width = frames[0].shape[:2]
    strip = np.zeros((height, (width + _GAP_PX) * len(frames) - _GAP_PX, 4), np.uint8)
    for number, frame in enumerate(frames):
        left = number * (width + _GAP_PX)
        strip[:, left : left + width, :3], strip[:, left : left + width, 3] = frame, 255
    buffer = io.BytesIO()
    imsave(buffer, strip, format="png", origin="upper", metadata={"Software": ""})
    return Markup('<img src="data:image/png;base64,{}" width="{}" height="{}" alt="{}">').format(
        base64.b64encode(buffer.getvalue()).decode("ascii"), strip.shape[1], strip.shape[0], alt
    )
