"""How the views of a view set are chosen."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from pipeline.core.errors import PipelineError

VERSION = 1


WINDOW_STRIDE = 8


Sampling = Literal["uniform", "middle", "window"]


class ViewError(PipelineError):
    """A view cannot be taken of a video, or stored parameters do not fit it."""


class TooShortError(ViewError):
    """A video has fewer frames than a view needs; what to do depends on who asked."""

    def __init__(self, num_frames: int, policy: "ViewPolicy") -> None:
        frames = "1 frame" if num_frames == 1 else f"{num_frames} frames"
        self.found, self.needed = f"the video has {frames}", policy.frames_needed
        needs = f"its view needs {policy.frames_needed} ({policy.num_frames} frames, {policy.sampling})"
        super().__init__(f"{self.found}; {needs}; set render.short: repeat to repeat frames")


class TeacherView(Protocol):
    """How a teacher's clips are made, as far as a view follows it; see `ViewPolicy`."""

    @property
    def policy(self) -> str:
        """The spatial rule."""
        ...

    @property
    def sampling(self) -> Sampling:
        """The frame rule."""
        ...

    @property
    def num_frames(self) -> int:
        """Frames per clip."""
        ...

    @property
    def size(self) -> int:
        """Side of the clip, in px."""
        ...

    @property
    def interpolation(self) -> Literal["bilinear", "bicubic"]:
        """Where a frame is resized."""
        ...

    @property
    def antialias(self) -> bool:
        """Whether resizing down first blurs."""
        ...

    @property
    def fragment_grid(self) -> int:
        """Cells per side of ``fragments``; 0 otherwise."""
        ...


@dataclass(frozen=True, kw_only=True)
class ViewPolicy:
    """How the views of a view set are chosen.

    Attributes:
        policy: the spatial rule: a file of ``policies/``.
        sampling: the frame rule.
        num_frames: frames per clip.
        size: side of the square clip, in px.
        grid: cells per side of ``fragments``; 1 otherwise. Divides ``size``.
        interpolation: where a frame is resized or enlarged.
        antialias: whether resizing down first blurs.
    """

    policy: str
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
