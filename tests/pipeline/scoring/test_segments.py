"""A scorer sees the pixels that a student was trained on, and divides a long video without gap or overlap."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.rendering.clips import RenderTask, render_video
from pipeline.rendering.policy import ViewError, ViewPolicy
from pipeline.scoring.segments import ScoringTask, SegmentClips, Span, VideoHead, advance, divide, read_segments
from pipeline.video.decoder import DecodeError
from tests.scoring_models import POLICY
from tests.videos import index_of, write_raw, write_video

POLICIES = {
    "fragments": POLICY,
    "resize": ViewPolicy(policy="resize", sampling="middle", num_frames=4, size=48),
    "squash": ViewPolicy(policy="squash", sampling="window", num_frames=3, size=40, interpolation="bicubic"),
    "crop": ViewPolicy(policy="crop", sampling="uniform", num_frames=5, size=32),
}


def task_for(path: Path, policy: ViewPolicy = POLICY, **changes: object) -> ScoringTask:
    values = {
        "path": path,
        "policy": policy,
        "num_views": 3,
        "segment_seconds": 10.0,
        "window_seconds": 1.0,
        "repeat": False,
        "decoder": "auto",
    }
    return ScoringTask(**{**values, **changes})


def read(task: ScoringTask) -> tuple[VideoHead, list[SegmentClips]]:
    head, *segments = read_segments(task)
    assert isinstance(head, VideoHead)
    return head, [segment for segment in segments if isinstance(segment, SegmentClips)]


def head_of(num_frames: int, times: np.ndarray | None = None, fps: float = 25.0) -> VideoHead:
    size = {"width": 96, "height": 64, "num_segments": 0}
    return VideoHead(digest="0", fps=fps, num_frames=num_frames, decoder="auto", times=times, **size)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_the_views_are_the_pixels_that_render_stores(tmp_path, policy):
    path = write_video(tmp_path / "x.mp4", num_frames=40, texture=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rendered = render_video(
        RenderTask(
            path=path,
            digest=digest,
            num_frames=40,
            policies={"main": policy},
            num_views=3,
            decoder="auto",
            repeat=False,
        )
    )
    head, [segment] = read(task_for(path, policy))
    assert (head.digest, head.num_frames, head.num_segments) == (digest, 40, 1)
    assert segment.views.dtype == np.uint8
    np.testing.assert_array_equal(segment.views, rendered.arrays["main"])


def test_each_segment_and_window_is_a_video_of_its_own(tmp_path):
    path = write_video(tmp_path / "x.mp4", num_frames=60)
    whole = ViewPolicy(policy="squash", sampling="uniform", num_frames=4, size=64)
    _, segments = read(task_for(path, whole, num_views=1, segment_seconds=1.2, window_seconds=0.4))
    assert [segment.span for segment in segments] == [Span(0, 30), Span(30, 60)]
    for segment in segments:
        shown = [index_of(frame) for frame in segment.views[0]]
        assert all(segment.span.start <= index < segment.span.stop for index in shown)
        assert len(segment.windows) == len(segment.window_clips) == 3
        for window, clip in zip(segment.windows, segment.window_clips, strict=True):
            assert all(window.start <= index_of(frame) < window.stop for frame in clip)


@pytest.mark.parametrize("num_frames", [1, 4, 29, 100, 251, 90_001])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_video_is_divided_without_gap_or_overlap(tmp_path, policy, num_frames):
    plan = divide(task_for(tmp_path, policy, segment_seconds=2.0, window_seconds=0.5), head_of(num_frames))
    spans = [span for span, _ in plan]
    windows = [window for _, inside in plan for window in inside]
    for parts in (spans, windows):
        assert (parts[0].start, parts[-1].stop) == (0, num_frames)
        assert all(one.stop == other.start for one, other in pairwise(parts))
        if len(parts) > 1:
            assert all(part.stop - part.start >= policy.frames_needed for part in parts)


def test_a_variable_rate_is_divided_by_time_not_by_frames(tmp_path):
    slow, fast = np.arange(0, 4, 0.1), np.arange(4, 6, 0.02)
    times = np.concatenate([slow, fast])
    head = head_of(len(times), times, fps=(len(times) - 1) / times[-1])
    whole = ViewPolicy(policy="squash", sampling="uniform", num_frames=4, size=64)
    plan = divide(task_for(tmp_path, whole, segment_seconds=2.0, window_seconds=1.0), head)
    assert [span for span, _ in plan] == [Span(0, 20), Span(20, 41), Span(41, 140)]
    starts = [head.seconds(window.start) for _, windows in plan for window in windows]
    np.testing.assert_allclose(starts, [0, 1, 2, 3, 4, 5], atol=0.03)
    assert (head.seconds(0), head.seconds(40), round(head.seconds(140), 2)) == (0.0, 4.0, 6.02)


def test_the_curve_of_a_variable_rate_has_the_times_of_its_frames(tmp_path):
    ticks = [*range(0, 300, 10), *range(300, 400)]
    path = write_video(tmp_path / "x.mp4", num_frames=130, fps=100, ticks=ticks)
    whole = ViewPolicy(policy="squash", sampling="uniform", num_frames=4, size=64)
    head, segments = read(task_for(path, whole, num_views=1, segment_seconds=1.0, window_seconds=1.0))
    assert "variable rate" in head.notes
    starts = [head.seconds(segment.span.start) for segment in segments]
    np.testing.assert_allclose(starts, [0, 1, 2, 3], atol=0.06)


def test_raw_video_is_told_its_size(tmp_path):
    path = write_raw(tmp_path / "plain.yuv", num_frames=30)
    from pipeline.video.decoder import DecodeOptions

    options = DecodeOptions(raw_width=96, raw_height=64, raw_pix_fmt="yuv420p")
    head, segments = read(task_for(path, options=options))
    assert (head.fps, head.num_frames, len(segments)) == (25.0, 30, 1)


def test_a_video_that_is_too_short_is_refused_or_repeats(tmp_path):
    path = write_video(tmp_path / "x.mp4", num_frames=2)
    with pytest.raises(ViewError, match="the video has 2 frames"):
        list(read_segments(task_for(path)))
    advance(task_for(path))
    assert "made for videos of at least 4; score with --short repeat" in str(advance(None))
    assert len(read(task_for(path, repeat=True))[1]) == 1


def test_a_file_that_changes_meanwhile_is_refused(tmp_path):
    path = write_video(tmp_path / "x.mp4")
    reading = read_segments(task_for(path))
    next(reading)
    path.touch()
    with pytest.raises(DecodeError, match="changed while it was decoded"):
        list(reading)


def test_a_worker_answers_until_the_video_ends_and_gives_reasons(tmp_path):
    path = write_video(tmp_path / "x.mp4")
    assert isinstance(advance(task_for(path)), VideoHead)
    assert isinstance(advance(None), SegmentClips)
    assert advance(None) is None
    assert "cannot read the file" in str(advance(task_for(tmp_path / "missing.mp4")))
    broken = tmp_path / "b.mp4"
    broken.write_bytes(b"no video")
    assert "not a readable video" in str(advance(task_for(broken)))
