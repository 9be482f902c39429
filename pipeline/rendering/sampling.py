"""Frame rules: which frames of a video make a clip, as pure functions of (frames in the video, frames wanted).

They know nothing of decoding and need numpy only: a worker process that decodes does not load torch.

Ref: the official evaluation code of InternVideo2 (fine-tuned: ``kinetics_sparse``; stage 2 and CLIP: the retrieval
test transform); InternVQA (ISCAS 2025) for the window rule. Left out: test-time segments.
"""

import numpy as np

from pipeline.core.errors import PipelineError, nearest


class PreprocessingError(PipelineError, ValueError):
    """Frames or settings from which no clip can be made."""


def uniform_indices(num_frames_of_video: int, wanted: int) -> np.ndarray:
    """Chooses frames as the official fine-tuned evaluation does: the middle of each of ``wanted`` segments.

    Args:
        num_frames_of_video: frames in the video, at least 1.
        wanted: frames in the clip, at least 1.

    Returns:
        int64 ``wanted``, ascending, in 0 .. num_frames_of_video-1; frames repeat in a video that is too short.

    Raises:
        PreprocessingError: a count below 1.
    """
    _check_counts(num_frames_of_video, wanted)
    segment = (num_frames_of_video - 1) / wanted
    starts = np.round(segment * np.arange(wanted)).astype(np.int64)
    return np.minimum(starts + int(segment / 2), num_frames_of_video - 1)


def middle_indices(num_frames_of_video: int, wanted: int) -> np.ndarray:
    """Chooses frames as the official stage-2 and CLIP evaluation does: the middle of each interval.

    Args:
        num_frames_of_video: frames in the video, at least 1.
        wanted: frames in the clip, at least 1.

    Returns:
        int64 ``wanted``, ascending; a video that is too short gives all its frames, then repeats its last.

    Raises:
        PreprocessingError: a count below 1.
    """
    _check_counts(num_frames_of_video, wanted)
    num_intervals = min(wanted, num_frames_of_video)
    edges = np.linspace(0, num_frames_of_video, num_intervals + 1).astype(np.int64)
    middles = (edges[:-1] + edges[1:] - 1) // 2
    return np.concatenate([middles, np.full(wanted - num_intervals, middles[-1], dtype=np.int64)])


def window_indices(num_frames_of_video: int, wanted: int, stride: int = 8, start: int | None = None) -> np.ndarray:
    """Chooses every ``stride``-th frame of one window, as InternVQA does (8 frames, stride 8: a 64-frame window).

    Args:
        num_frames_of_video: frames in the video, at least 1.
        wanted: frames in the clip, at least 1.
        stride: distance of two frames, at least 1.
        start: first frame of the window; None centres the window in the video.

    Returns:
        int64 ``wanted``, ascending; the last frame repeats where the window is longer than the video.

    Raises:
        PreprocessingError: a count below 1, or a start outside the video.
    """
    _check_counts(num_frames_of_video, wanted)
    if stride < 1:
        raise PreprocessingError(f"stride: got {stride}, expected at least 1")
    if start is None:
        start = max(0, (num_frames_of_video - wanted * stride) // 2)
    if not 0 <= start < num_frames_of_video:
        raise PreprocessingError(f"start: got {start}, expected a frame in 0 .. {num_frames_of_video - 1}")
    return np.minimum(start + stride * np.arange(wanted, dtype=np.int64), num_frames_of_video - 1)


FRAME_RULES = {"uniform": uniform_indices, "middle": middle_indices, "window": window_indices}
"""The frame rules by the name that ``Preprocessing.sampling`` and ``params.yaml`` use."""


def frame_indices(sampling: str, num_frames_of_video: int, wanted: int) -> np.ndarray:
    """Chooses frames by the named rule; see :data:`FRAME_RULES`.

    Raises:
        PreprocessingError: no such rule, or a count below 1.
    """
    if sampling not in FRAME_RULES:
        known = ", ".join(FRAME_RULES)
        raise PreprocessingError(f"unknown sampling {sampling!r}; known: {known}{nearest(sampling, FRAME_RULES)}")
    return FRAME_RULES[sampling](num_frames_of_video, wanted)


def _check_counts(num_frames_of_video: int, wanted: int) -> None:
    if num_frames_of_video < 1 or wanted < 1:
        raise PreprocessingError(
            f"got {num_frames_of_video} frames in the video and {wanted} wanted; both must be at least 1"
        )
