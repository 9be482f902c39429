"""What a scorer reads of a video: its segments one after another, each with its views and with windows for the curve.

The clips are cut by the code that rendered the training clips (``draw_view``, ``cut_clips``): a video that is one
segment long gives exactly the views that ``render`` stores. A longer one is divided, and each segment is treated as a
video of its own, so that memory holds the clips of one segment whatever the length. Frames are decoded in one pass.

A worker process runs this (`advance`), and keeps the video open from one request to the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.store.files import file_digest
from pipeline.core import registry
from pipeline.rendering.clips import cut_clips, file_state
from pipeline.rendering.policy import TooShortError, ViewError, ViewPolicy
from pipeline.rendering.views import ViewParameters, draw_view
from pipeline.video.decoder import DecodeError, DecodeOptions, OpenVideo, check_file

ASSUMED_FPS = 25.0
"""Frame rate of a video that does not tell its own; it decides only how long a segment and a window are."""
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class ScoringTask:
    """One video to be read.

    Attributes:
        path: of the file.
        policy: how the student's clips are made.
        num_views: per segment.
        segment_seconds: the least length of a segment, of which a shorter video is one.
        window_seconds: the least length of a window, of which a shorter segment is one.
        repeat: whether a video that is too short repeats frames rather than fails.
        decoder: a file of ``pipeline/video/decoders/``.
        options: of the decoder.
    """

    path: Path
    policy: ViewPolicy
    num_views: int
    segment_seconds: float
    window_seconds: float
    repeat: bool
    decoder: str
    options: DecodeOptions = field(default_factory=DecodeOptions)


@dataclass(frozen=True, kw_only=True)
class VideoHead:
    """What is known of a video before its clips come.

    Attributes:
        digest: SHA-256 of the file.
        width: of a frame as shown, in px.
        height: of a frame as shown, in px.
        fps: frames per second; `ASSUMED_FPS` where the file does not tell.
        num_frames: exact.
        num_segments: how many `SegmentClips` follow.
        decoder: name and version.
        notes: what else is to be known of the video, see `VideoInfo`.
        times: when each frame is shown, in seconds, where the rate varies.
    """

    digest: str
    width: int
    height: int
    fps: float
    num_frames: int
    num_segments: int
    decoder: str
    notes: tuple[str, ...] = ()
    times: NDArray[np.float64] | None = None

    def seconds(self, frame: int) -> float:
        """When a frame is shown; of the number of frames, when the video ends."""
        if self.times is None:
            return frame / self.fps
        return float(self.times[frame]) if frame < self.num_frames else float(self.times[-1]) + 1 / self.fps


@dataclass(frozen=True)
class Span:
    """Frames ``start`` … ``stop`` - 1."""

    start: int
    stop: int


@dataclass(frozen=True)
class SegmentClips:
    """The pixels of one segment.

    Attributes:
        span: its frames.
        views: uint8 ``v t h w c``; the first is the centred one.
        windows: the frames of each window.
        window_clips: uint8 ``w t h w c``: the centred view of each window.
    """

    span: Span
    views: NDArray[np.uint8]
    windows: tuple[Span, ...]
    window_clips: NDArray[np.uint8]


def divide(task: ScoringTask, head: VideoHead) -> list[tuple[Span, tuple[Span, ...]]]:
    """Divides a video into segments, and each of them into windows, without gap or overlap.

    The parts are equal in time, at least as long as asked for and less than twice that, and never too short for the
    frame rule unless the whole video is.

    Args:
        task: what is asked for.
        head: of the video, of which `VideoHead.num_segments` is not looked at.

    Returns:
        Each segment with its windows.
    """
    window = max(round(task.window_seconds * head.fps), task.policy.frames_needed)
    segment = max(round(task.segment_seconds * head.fps), window)
    cut = partial(_parts, head=head, least=task.policy.frames_needed)
    return [(span, tuple(cut(span, window))) for span in cut(Span(0, head.num_frames), segment)]


def _parts(span: Span, length: int, *, head: VideoHead, least: int) -> list[Span]:
    """Equal parts of at least ``length`` frames, or of as much time where the rate varies."""
    if head.times is None:
        count = max((span.stop - span.start) // length, 1)
        edges = [span.start + (span.stop - span.start) * part // count for part in range(count + 1)]
        return [Span(start, stop) for start, stop in pairwise(edges)]
    begin, end = head.seconds(span.start), head.seconds(span.stop)
    count = max(int((end - begin) * head.fps / length + _ROUNDING), 1)
    between = (head.times[1:] + head.times[:-1]) / 2
    wanted = np.searchsorted(between, np.linspace(begin, end, count + 1)[1:-1]).tolist()
    edges = [span.start]
    for edge in wanted:
        if edge - edges[-1] >= least and span.stop - edge >= least:
            edges.append(edge)
    return [Span(start, stop) for start, stop in pairwise([*edges, span.stop])]


def read_segments(task: ScoringTask) -> Iterator[VideoHead | SegmentClips]:
    """Decodes a video and cuts out what a scorer needs, a segment at a time.

    Yields:
        The head, then each segment.

    Raises:
        DecodeError: the video cannot be decoded, or changes meanwhile.
        ViewError: it is too short.
        OSError: the file cannot be read.
    """
    check_file(task.path)
    before = file_state(task.path)
    digest = file_digest(task.path)
    with registry.find("video.decoders", task.decoder).open(task.path, options=task.options) as video:
        info = video.info
        head = VideoHead(
            digest=digest,
            width=info.width,
            height=info.height,
            fps=info.fps or ASSUMED_FPS,
            num_frames=info.num_frames,
            num_segments=0,
            decoder=info.decoder,
            notes=info.notes,
            times=info.times,
        )
        plan = divide(task, head)
        yield replace(head, num_segments=len(plan))
        for span, windows in plan:
            yield _cut(video, task, digest, span, windows)
    if file_state(task.path) != before:
        raise DecodeError("the file changed while it was decoded; score it again")


def _cut(video: OpenVideo, task: ScoringTask, digest: str, span: Span, windows: tuple[Span, ...]) -> SegmentClips:
    views = [_view(video, task, digest, span, view) for view in range(task.num_views)]
    centred = [_view(video, task, digest, window, 0) for window in windows]
    clips = cut_clips(video, {"all": task.policy}, {"all": [*views, *centred]})["all"]
    return SegmentClips(span, clips[: len(views)], windows, clips[len(views) :])


def _view(video: OpenVideo, task: ScoringTask, digest: str, span: Span, view: int) -> ViewParameters:
    parameters = draw_view(
        task.policy,
        num_frames=span.stop - span.start,
        height=video.info.height,
        width=video.info.width,
        digest=digest,
        view=view,
        repeat=task.repeat,
    )
    return replace(parameters, frames=tuple(span.start + index for index in parameters.frames))


_open: list[Iterator[VideoHead | SegmentClips]] = []


def advance(task: ScoringTask | None) -> VideoHead | SegmentClips | str | None:
    """Answers one request inside a worker process.

    Args:
        task: a video to begin with; None goes on with the one that is open.

    Returns:
        What comes next, None after the last segment, or the reason why it cannot be had.
    """
    if task is not None:
        _open[:] = [read_segments(task)]
    try:
        return next(_open[0], None)
    except TooShortError as error:
        return (
            f"{error.found}; this student was made for videos of at least {error.needed}; score with --short repeat to "
            "repeat frames, and trust the score less, or give a longer video"
        )
    except (DecodeError, ViewError) as error:
        return str(error)
    except OSError as error:
        return f"cannot read the file: {error.strerror or error}"
