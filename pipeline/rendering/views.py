"""Views: which frames of a video, and which part of them.

Every policy comes to the same three things, and they are stored with the row: the frames, the size of the plane that a
frame is resized to (its own size where pixels stay as they are), and the square patches cut out of that plane and
laid side by side. From them alone a view is replayed to the same pixels (``pipeline/rendering/clips.py``).

The policies are the files of ``policies/``. A frame too small for ``crop`` or ``fragments`` is first enlarged until its
short side fits. View 0 is centred and draws nothing; the others draw from the video's digest (``draws.py``).

Ref: FAST-VQA (Wu et al., ECCV 2022, section 3.1) for fragments; InternVQA and InternVideo2 for frames and the centre
crop. Left out: flips, colour and erasing augmentation, which change quality itself.
"""

import json
from dataclasses import dataclass, fields

from pipeline.core import registry
from pipeline.rendering.draws import Draws
from pipeline.rendering.policy import WINDOW_STRIDE, TooShortError, ViewError, ViewPolicy
from pipeline.rendering.sampling import frame_indices, window_indices

_FRAMES, _PLACE = 1, 2


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
        TooShortError: the video is too short.
    """
    if num_frames < policy.frames_needed and not repeat:
        raise TooShortError(num_frames, policy)
    frames = _frames(policy, num_frames, digest, view)
    place = Draws(digest, view=view, purpose=_PLACE) if view else None
    plane, patches = registry.find("rendering.policies", policy.policy).place(policy, height, width, place)
    return ViewParameters(frames=frames, plane=plane, patches=patches, patch=policy.patch)


def _frames(policy: ViewPolicy, num_frames: int, digest: str, view: int) -> tuple[int, ...]:
    if policy.sampling == "window" and view:
        latest = max(num_frames - policy.frames_needed, 0)
        start = Draws(digest, view=view, purpose=_FRAMES).between(0, latest)
        chosen = window_indices(num_frames, policy.num_frames, WINDOW_STRIDE, start)
    else:
        chosen = frame_indices(policy.sampling, num_frames, policy.num_frames)
    return tuple(int(index) for index in chosen)
