"""The pixels of views: one pass over a video's frames for all views of all view sets.

Each frame is visited once; of it, only the pixels that some view needs are converted to RGB, and the frame is let go
before the next one is decoded. Memory holds one decoded frame and the finished clips, whatever the video's size.
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.store.files import file_digest
from pipeline.core import registry
from pipeline.rendering.policy import ViewError, ViewPolicy
from pipeline.rendering.views import ViewParameters, draw_view
from pipeline.video import colour
from pipeline.video.decoder import DecodeError, DecodeOptions, OpenVideo, check_file
from pipeline.video.pictures import Picture

VERSION = 4
"""4: PyAV decodes every file; pixels differ from those of 3 only where decord or the old count gave wrong frames, and
where alpha or packed samples went another way than the colour rule."""
SAME_PIXELS_SINCE = 3
"""A student trained on clips of this version may score by this code: sound, plain videos have the same pixels."""
_Uses = dict[int, list[tuple[int, int]]]


@dataclass(frozen=True, kw_only=True)
class RenderTask:
    """One video to be rendered.

    Attributes:
        path: of the file.
        digest: SHA-256 that the manifest has of it; keys the draws.
        num_frames: that the manifest has of it; None where it has none.
        policies: per view set, how its views are chosen.
        num_views: per view set.
        decoder: a file of ``pipeline/video/decoders/``.
        repeat: whether a video that is too short repeats frames rather than fails.
        options: of the decoder.
    """

    path: Path
    digest: str
    num_frames: int | None
    policies: Mapping[str, ViewPolicy]
    num_views: int
    decoder: str
    repeat: bool
    options: DecodeOptions = field(default_factory=DecodeOptions)


@dataclass(frozen=True)
class Clips:
    """The rows of one video.

    Attributes:
        arrays: per view set uint8 ``v t h w c``.
        columns: per view set ``<name>_view``, the parameters as JSON, and ``<name>_decoder``, what
            decoded them and what else is to be known of the video.
    """

    arrays: dict[str, NDArray[np.uint8]]
    columns: dict[str, list[str]]


def clip_fingerprint(policy: ViewPolicy, *, decoder: str, short: str, hdr: str = "show") -> dict[str, Any]:
    """Everything that shapes the pixels of a view set's clips, and nothing else, as plain JSON.

    Args:
        policy: how its views are chosen.
        decoder: a file of ``pipeline/video/decoders/``.
        short: what becomes of a video that is too short, ``fail`` or ``repeat``.
        hdr: what becomes of HDR video, ``show`` or ``refuse``.
    """
    from pipeline.video import resampling

    refused = {"hdr": hdr} if hdr != "show" else {}
    return {
        "view": policy.fingerprint(),
        "resampling": resampling.VERSION,
        "colour": {"rule": colour.RULE, "version": colour.VERSION},
        "decoder": decoder,
        "short": short,
        "version": VERSION,
        **refused,
    }


def render_video(task: RenderTask) -> Clips | str:
    """Renders one video; what a worker process does.

    Returns:
        Its clips, or the reason why there are none.
    """
    try:
        check_file(task.path)
        before = file_state(task.path)
        digest = file_digest(task.path)
        if digest != task.digest:
            return f"the file is not the one in the manifest (SHA-256 {digest}); run prepare again"
        clips = _render(task)
        if file_state(task.path) != before:
            return "the file changed while it was decoded; run prepare again"
    except (DecodeError, ViewError) as error:
        return str(error)
    except OSError as error:
        return f"cannot read the file: {error.strerror or error}"
    return clips


@lru_cache
def _decoder(name: str) -> ModuleType:
    return registry.find("video.decoders", name)


def _render(task: RenderTask) -> Clips:
    with _decoder(task.decoder).open(task.path, options=task.options) as video:
        info = video.info
        if task.num_frames is not None and task.num_frames != info.num_frames:
            raise DecodeError(
                f"the manifest has {task.num_frames} frames, the file {info.num_frames}; run prepare again"
            )
        views = {
            name: [
                draw_view(
                    policy,
                    num_frames=info.num_frames,
                    height=info.height,
                    width=info.width,
                    digest=task.digest,
                    view=view,
                    repeat=task.repeat,
                )
                for view in range(task.num_views)
            ]
            for name, policy in task.policies.items()
        }
        arrays = cut_clips(video, task.policies, views)
    columns = {f"{name}_view": [view.to_json() for view in drawn] for name, drawn in views.items()}
    columns |= {f"{name}_decoder": [info.record] * task.num_views for name in views}
    return Clips(arrays, columns)


def file_state(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written to or replaced."""
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


def cut_clips(
    video: OpenVideo, policies: Mapping[str, ViewPolicy], views: Mapping[str, Sequence[ViewParameters]]
) -> dict[str, NDArray[np.uint8]]:
    """Decodes a video once and cuts out every view.

    Args:
        video: open.
        policies: per view set; of them only size and interpolation are used here.
        views: per view set, the parameters of its views.

    Returns:
        Per view set uint8 ``v t h w c``: the views' clips.

    Raises:
        DecodeError: a frame that a view needs cannot be had.
        ViewError: parameters do not fit the video.
    """
    height, width = video.info.height, video.info.width
    cutters = {
        name: _Cutter(policies[name], parameters, height=height, width=width) for name, parameters in views.items()
    }
    wanted = sorted({index for cutter in cutters.values() for index in cutter.uses})
    for index, picture in video.frames(wanted):
        for cutter in cutters.values():
            cutter.cut(index, picture)
    return {name: cutter.clips for name, cutter in cutters.items()}


class _Cutter:
    """Cuts the views of one view set, frame by frame.

    Attributes:
        clips: uint8 ``v t h w c``, filled as frames come.
        uses: frame → (view, position in the clip) of each use of it.
    """

    def __init__(self, policy: ViewPolicy, views: Sequence[ViewParameters], *, height: int, width: int) -> None:
        for parameters in views:
            _check(policy, parameters)
        self._policy, self._views, self._frame_size = policy, views, (height, width)
        self.clips = np.zeros((len(views), policy.num_frames, policy.size, policy.size, 3), np.uint8)
        self.uses: _Uses = defaultdict(list)
        for view, parameters in enumerate(views):
            for position, index in enumerate(parameters.frames):
                self.uses[index].append((view, position))
        self._native = all(parameters.plane == (height, width) for parameters in views)

    def cut(self, index: int, picture: Picture) -> None:
        """Fills in what the views need of one frame."""
        uses = self.uses.get(index, [])
        if not uses:
            return
        seen = sorted({view for view, _ in uses})
        patches = self._native_patches(picture, seen) if self._native else self._resampled_patches(picture, seen)
        num_patches, side, grid = self._policy.grid**2, self._policy.patch, self._policy.grid
        for view, position in uses:
            clip, first = self.clips[view, position], seen.index(view) * num_patches
            for cell in range(num_patches):
                row, column = cell // grid * side, cell % grid * side
                clip[row : row + side, column : column + side] = patches[first + cell]

    def _native_patches(self, picture: Picture, seen: list[int]) -> Sequence[NDArray[np.uint8]]:
        """Every patch of these views at native resolution, each ``h w 3``."""
        side = self._policy.patch
        corners = [corner for view in seen for corner in self._views[view].patches]
        whole = picture.whole(len(corners) * side * side)
        if whole is not None:
            return [whole[top : top + side, left : left + side] for top, left in corners]
        return list(picture.squares(corners, side))

    def _resampled_patches(self, picture: Picture, seen: list[int]) -> Sequence[NDArray[np.uint8]]:
        """Every patch of these views from the resized frame, each ``h w 3``."""
        from pipeline.video.resampling import axis, resample

        (height, width), side = self._frame_size, self._policy.patch
        how = (self._policy.interpolation, self._policy.antialias)
        plans = [
            (
                axis(height, self._views[view].plane[0], top, side, *how),
                axis(width, self._views[view].plane[1], left, side, *how),
            )
            for view in seen
            for top, left in self._views[view].patches
        ]
        return resample(picture, plans)


def _check(policy: ViewPolicy, parameters: ViewParameters) -> None:
    """Makes sure that parameters, which may have been stored, belong to the policy and stay inside the plane."""
    height, width = parameters.plane
    side = parameters.patch
    inside = all(0 <= top <= height - side and 0 <= left <= width - side for top, left in parameters.patches)
    fits = (side, len(parameters.patches), len(parameters.frames)) == (policy.patch, policy.grid**2, policy.num_frames)
    if not inside or not fits:
        raise ViewError(
            f"the view has {len(parameters.frames)} frames and {len(parameters.patches)} patches of {side} px in a "
            f"plane of {height}x{width}; expected {policy.num_frames} frames and {policy.grid**2} patches of "
            f"{policy.patch} px inside it"
        )
