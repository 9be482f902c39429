"""Frames of a video for the page, from the store of pixels: what the models saw, so nothing is decoded again."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from cache.store import ArraySpec, Store

_OK = 1
_MAX_PX = 3 * 128 * 128
_MAX_FRAMES = 3
_GAP_PX = 2
_WHOLE_FRAME_POLICIES = ("resize", "squash", "crop")


@dataclass(frozen=True)
class Strip:
    """Some frames of a video side by side.

    Attributes:
        uri: PNG as a ``data:`` URI, so that no artefact is added to those of the video.
        width: in px.
        height: in px.
        num_frames: side by side, in the order of time.
    """

    uri: str
    width: int
    height: int
    num_frames: int


def view_set_to_show(clips: Store) -> str | None:
    """The array of the store that a person recognises best: a view of the whole frame before fragments of it.

    Returns:
        The array's name; None where the store holds no RGB clips.
    """
    names = [name for name, spec in clips.arrays.items() if _holds_rgb_clips(spec)]
    whole = [name for name in names if policy_of(clips, name) in _WHOLE_FRAME_POLICIES]
    return next(iter([*whole, *names]), None)


def _holds_rgb_clips(spec: ArraySpec) -> bool:
    return spec.dtype == "uint8" and len(spec.shape) == 4 and spec.shape[-1] == 3


def policy_of(clips: Store, name: str) -> str | None:
    """The spatial policy in the fingerprint of a view set, or None where it does not say."""
    fingerprint = clips.fingerprint[name]
    for values in (fingerprint, *(value for value in fingerprint.values() if isinstance(value, dict))):
        if isinstance(values.get("policy"), str):
            return str(values["policy"])
    return None


def strip_of(clips: Store, name: str, video_id: str) -> Strip | None:
    """The middle frame of view 0, with the first and the last where they are small.

    Args:
        clips: the store of pixels.
        name: of the array, from `view_set_to_show`.
        video_id: of the video.

    Returns:
        None where the store has no rendered row of the video.
    """
    if video_id not in clips.video_ids:
        return None
    row = int(np.asarray(clips.rows_of(video_id))[0])
    if clips.status[row] != _OK:
        return None
    clip = clips.read(name, np.asarray([row]))[0]
    num_frames, height, width = clip.shape[:3]
    shown = min(_MAX_FRAMES, num_frames, max(1, _MAX_PX // (height * width)))
    places = [num_frames // 2] if shown == 1 else np.linspace(0, num_frames - 1, shown).round().astype(int).tolist()
    return as_strip([clip[place] for place in places])


def as_strip(frames: Sequence[NDArray[np.uint8]]) -> Strip:
    """Frames of one size, each uint8 ``h w 3``, as a picture."""
    pixels = _side_by_side(frames)
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(pixels), format="png", origin="upper", metadata={"Software": ""})
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Strip(uri, pixels.shape[1], pixels.shape[0], len(frames))


def _side_by_side(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Frames with a transparent gap between them, since those of fragments run into one another; ``h w 4``."""
    height, width = frames[0].shape[:2]
    strip = np.zeros((height, (width + _GAP_PX) * len(frames) - _GAP_PX, 4), np.uint8)
    for number, frame in enumerate(frames):
        left = number * (width + _GAP_PX)
        strip[:, left : left + width, :3], strip[:, left : left + width, 3] = frame, 255
    return strip
