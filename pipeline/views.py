"""Views: which frames of a video, and which part of them.

Every policy comes to the same three things, and they are stored with the row: the frames, the size of the plane that a
frame is resized to (its own size where pixels are kept as they are), and the square patches cut out of that plane and
laid side by side. From them alone a view is replayed to the same pixels (``pipeline/clips.py``).

- ``resize``: the short side to ``size``, one patch; centred as the official evaluation does it, or, for drawn views,
  anywhere in a plane up to 8/7 as large.
- ``squash``: the whole frame to a square; a drawn view is cut out of a plane up to 8/7 as large.
- ``crop``: one patch at native resolution.
- ``fragments``: a grid of cells, from each a patch at native resolution at an offset inside the cell, the same in all
  frames of the clip.

A frame too small for ``crop`` or ``fragments`` is first enlarged until its short side fits. View 0 is centred and draws
nothing; the others draw from the video's digest (``pipeline/draws.py``).

Ref: FAST-VQA (Wu et al., ECCV 2022, section 3.1) for fragments; InternVQA and InternVideo2 for frames and the centre
crop. Left out: flips, colour and erasing augmentation, which change quality itself.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pipeline.draws import Draws
from pipeline.errors import PipelineError
from pipeline.models.sampling import frame_indices, window_indices

VERSION = 1
WINDOW_STRIDE = 8
_FRAMES, _PLACE = 1, 2

Sampling = Literal["uniform", "middle", "window"]
Policy = Literal["resize", "squash", "crop", "fragments"]


class ViewError(PipelineError):
    """A view cannot be taken of a video, or stored parameters do not fit it."""


@dataclass(frozen=True, kw_only=True)
class ViewPolicy:
    """How the views of a view set are chosen.

    Attributes:
        policy: the spatial rule.
        sampling: the frame rule.
        num_frames: frames per clip.
        size: side of the square clip, in px.
        grid: cells per side of ``fragments``; 1 otherwise. Divides ``size``.
        interpolation: where a frame is resized or enlarged.
        antialias: whether resizing down first blurs.
    """

    policy: Policy
    sampling: Sampling
    num_frames: int
    size: int
    grid: int = 1
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = True

    @property
    def patch(self) -> int:
        """Side of a patch, in px."""
        return self.size // self.grid

    @property
    def frames_needed(self) -> int:
        """How many frames a video must have for a clip without repeated frames."""
        return (self.num_frames - 1) * WINDOW_STRIDE + 1 if self.sampling == "window" else self.num_frames

    def fingerprint(self) -> dict[str, Any]:
        """Everything here that shapes pixels, as plain JSON."""
        return {**asdict(self), "version": VERSION}


@dataclass(frozen=True, kw_only=True)
class ViewParameters:
    """One view, explicitly.

    Attributes:
        frames: index of each of the clip's frames, ascending; repeated only where the video is too short.
        plane: height and width that a frame is resized to, in px.
        patches: top and left of each patch inside the plane, row by row of the grid.
        patch: side of a patch, in px.
    """

    frames: tuple[int, ...]
    plane: tuple[int, int]
    patches: tuple[tuple[int, int], ...]
    patch: int

    def to_json(self) -> str:
        """One line of JSON; ``from_json`` gives back the same."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "ViewParameters":
        """Reads what ``to_json`` wrote.

        Raises:
            ViewError: it is something else.
        """
        try:
            values = json.loads(text)
            return cls(
                frames=tuple(int(index) for index in values["frames"]),
                plane=(int(values["plane"][0]), int(values["plane"][1])),
                patches=tuple((int(top), int(left)) for top, left in values["patches"]),
                patch=int(values["patch"]),
            )
        except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
            raise ViewError(f"got view parameters {text[:80]!r}, which cannot be read: {error!r}") from None


def draw_view(
    policy: ViewPolicy, *, num_frames: int, height: int, width: int, digest: str, view: int, repeat: bool = False
) -> ViewParameters:
    """Chooses a view of a video.

    The frames depend on the video, the view and the frame rule alone, so view sets with one frame rule see the same.

    Args:
        policy: how.
        num_frames: of the video.
        height: of its frames as shown, in px.
        width: of its frames as shown, in px.
        digest: SHA-256 of the video file, in hexadecimal.
        view: its number; 0 is the centred one.
        repeat: whether a video that is too short repeats frames (the official rule) rather than fails.

    Raises:
        ViewError: the video is too short.
    """
    if num_frames < policy.frames_needed and not repeat:
        raise ViewError(
            f"the video has {num_frames} frames; its view needs {policy.frames_needed} "
            f"({policy.num_frames} frames, {policy.sampling}); set render.short: repeat to repeat frames"
        )
    frames = _frames(policy, num_frames, digest, view)
    place = Draws(digest, view=view, purpose=_PLACE) if view else None
    plane, patches = _PLACES[policy.policy](policy, height, width, place)
    return ViewParameters(frames=frames, plane=plane, patches=patches, patch=policy.patch)


def _frames(policy: ViewPolicy, num_frames: int, digest: str, view: int) -> tuple[int, ...]:
    if policy.sampling == "window" and view:
        latest = max(num_frames - policy.frames_needed, 0)
        start = Draws(digest, view=view, purpose=_FRAMES).between(0, latest)
        chosen = window_indices(num_frames, policy.num_frames, WINDOW_STRIDE, start)
    else:
        chosen = frame_indices(policy.sampling, num_frames, policy.num_frames)
    return tuple(int(index) for index in chosen)


_Place = tuple[tuple[int, int], tuple[tuple[int, int], ...]]


def _resize(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> _Place:
    """Short side to ``size``, centre crop, with the official rounding; drawn views see up to 8/7 of that scale."""
    short = _enlarged(policy.size, draws)
    plane = (int(short * height / width), short) if width < height else (short, int(short * width / height))
    return plane, (_corner(plane, policy.size, draws),)


def _squash(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> _Place:
    plane = (_enlarged(policy.size, draws), _enlarged(policy.size, draws))
    return plane, (_corner(plane, policy.size, draws),)


def _crop(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> _Place:
    plane = _at_least(policy.size, height, width)
    return plane, (_corner(plane, policy.size, draws),)


def _fragments(policy: ViewPolicy, height: int, width: int, draws: Draws | None) -> _Place:
    plane = _at_least(policy.size, height, width)
    cell_height, cell_width = plane[0] // policy.grid, plane[1] // policy.grid
    patches = []
    for row in range(policy.grid):
        for column in range(policy.grid):
            top, left = _corner((cell_height, cell_width), policy.patch, draws)
            patches.append((row * plane[0] // policy.grid + top, column * plane[1] // policy.grid + left))
    return plane, tuple(patches)


_PLACES = {"resize": _resize, "squash": _squash, "crop": _crop, "fragments": _fragments}


def _enlarged(size: int, draws: Draws | None) -> int:
    return draws.between(size, size * 8 // 7) if draws else size


def _corner(area: tuple[int, int], side: int, draws: Draws | None) -> tuple[int, int]:
    """Top and left of a square inside an area: the centre, or drawn."""
    spare_rows, spare_columns = area[0] - side, area[1] - side
    if draws is None:
        return round(spare_rows / 2), round(spare_columns / 2)
    return draws.between(0, spare_rows), draws.between(0, spare_columns)


def _at_least(size: int, height: int, width: int) -> tuple[int, int]:
    """The frame's own size, or enlarged in proportion until the short side is ``size``."""
    short = min(height, width)
    if short >= size:
        return height, width
    return -(-height * size // short), -(-width * size // short)
