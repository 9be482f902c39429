"""Frames of a video for the page, from the store of pixels: what the models saw, so nothing is decoded again."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.image import imsave
from numpy.typing import NDArray

from cache.store import ArraySpec, Store

_OK = 1
_MAX_PX = 3 * 128 * 128
_MAX_FRAMES = 3
_GAP_PX = 2
_WHOLE_FRAME_POLICIES = ("resize", "squash", "crop")


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


def frames_of(clips: Store, name: str, video_id: str) -> Sequence[NDArray[np.uint8]]:
    """The middle frame of view 0, with the first and the last where they are small; each uint8 ``h w 3``.

    Args:
        clips: the store of pixels.
        name: of the array, from `view_set_to_show`.
        video_id: of the video.

    Returns:
        No frames where the store has no rendered row of the video.
    """
    row = int(np.asarray(clips.rows_of(video_id))[0]) if video_id in clips.video_ids else None
    if row is None or clips.status[row] != _OK:
        return []
    clip = clips.read(name, np.asarray([row]))[0]
    num_frames, height, width = clip.shape[:3]
    shown = min(_MAX_FRAMES, num_frames, max(1, _MAX_PX // (height * width)))
    places = [num_frames // 2] if shown == 1 else np.linspace(0, num_frames - 1, shown).round().astype(int).tolist()
    return [clip[place] for place in places]


def picture(frames: Sequence[NDArray[np.uint8]], alt: str) -> Markup:
    """Frames of one size side by side in the page, as PNG, so that no artefact is added to those of the video.

    Args:
        frames: each uint8 ``h w 3``; between two there is a transparent gap, since fragments run into one another.
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
