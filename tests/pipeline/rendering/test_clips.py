"""Pixels of views: replayed from parameters, equal to the plain way of doing it, one pass, one frame at a time."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.rendering import clips
from pipeline.rendering.clips import Clips, RenderTask, cut_clips, render_video
from pipeline.rendering.policy import ViewError, ViewPolicy
from pipeline.rendering.views import ViewParameters, draw_view
from pipeline.teachers.shared.preprocessing import Preprocessing
from pipeline.video.decoder import DecodeOptions, VideoInfo
from pipeline.video.decoders import pyav
from pipeline.video.pictures import Box, Picture, RgbPicture
from tests.pipeline.models.official_preprocessing import preprocess
from tests.videos import index_of, write_video

DIGEST = "0123456789abcdef" * 4
POLICIES = {
    "resize": ViewPolicy(policy="resize", sampling="uniform", num_frames=4, size=56),
    "squash": ViewPolicy(policy="squash", sampling="middle", num_frames=4, size=56, interpolation="bicubic"),
    "crop": ViewPolicy(policy="crop", sampling="uniform", num_frames=4, size=48),
    "fragments": ViewPolicy(policy="fragments", sampling="uniform", num_frames=4, size=48, grid=4),
    "enlarged": ViewPolicy(policy="fragments", sampling="uniform", num_frames=4, size=112, grid=4),
}
NUM_FRAMES, HEIGHT, WIDTH = 12, 66, 102


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clips") / "v.mp4"
    return write_video(file, num_frames=NUM_FRAMES, width=WIDTH, height=HEIGHT, texture=True)


@pytest.fixture(scope="module")
def whole(path: Path) -> NDArray[np.uint8]:
    """Every frame, ``t h w c``."""
    with pyav.open(path, options=DecodeOptions()) as video:
        box = Box(0, 0, HEIGHT, WIDTH)
        return np.stack([picture.region(box) for _, picture in video.frames(range(NUM_FRAMES))])


def views_of(policy: ViewPolicy, num_views: int = 3) -> list[ViewParameters]:
    return [
        draw_view(policy, num_frames=NUM_FRAMES, height=HEIGHT, width=WIDTH, digest=DIGEST, view=view)
        for view in range(num_views)
    ]


def cut(path: Path, views: dict[str, Sequence[ViewParameters]]) -> dict[str, NDArray[np.uint8]]:
    with pyav.open(path, options=DecodeOptions()) as video:
        return cut_clips(video, POLICIES, views)


def test_a_view_replays_to_the_same_pixels(path: Path) -> None:
    views = {name: views_of(policy) for name, policy in POLICIES.items()}
    first = cut(path, views)
    stored = {name: [ViewParameters.from_json(view.to_json()) for view in drawn] for name, drawn in views.items()}
    for name in POLICIES:
        for view, parameters in enumerate(stored[name]):
            np.testing.assert_array_equal(cut(path, {name: [parameters]})[name][0], first[name][view])


@pytest.mark.parametrize("name", ["crop", "fragments"])
def test_native_views_are_the_frames_own_pixels(name: str, path: Path, whole: NDArray[np.uint8]) -> None:
    policy = POLICIES[name]
    views = views_of(policy)
    clips = cut(path, {name: views})[name]
    side = policy.patch
    for clip, view in zip(clips, views, strict=True):
        for position, index in enumerate(view.frames):
            for cell, (top, left) in enumerate(view.patches):
                row, column = divmod(cell, policy.grid)
                there = clip[position, row * side : (row + 1) * side, column * side : (column + 1) * side]
                np.testing.assert_array_equal(there, whole[index, top : top + side, left : left + side])


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("policy", ["resize", "squash"])
@pytest.mark.parametrize("size", [32, 90])
def test_view_0_is_what_the_models_own_preprocessing_gives(
    policy: str, interpolation: str, antialias: bool, size: int, path: Path, whole: NDArray[np.uint8]
) -> None:
    values = {"policy": policy, "sampling": "uniform", "num_frames": 4, "size": size}
    values |= {"interpolation": interpolation, "antialias": antialias}
    expected = preprocess(torch.from_numpy(whole), Preprocessing(family="test", **values)).numpy()
    mine = ViewPolicy(**values)
    with pyav.open(path, options=DecodeOptions()) as video:
        clip = cut_clips(video, {"x": mine}, {"x": views_of(mine, 1)})["x"][0]
    difference = np.abs(clip.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


def test_a_frame_too_small_is_enlarged(path: Path, whole: NDArray[np.uint8]) -> None:
    policy = POLICIES["enlarged"]
    view = views_of(policy, 1)[0]
    assert view.plane == (112, 174)
    clip = cut(path, {"enlarged": [view]})["enlarged"][0]
    pixels = torch.from_numpy(whole[list(view.frames)]).permute(0, 3, 1, 2).float()
    plane = torch.nn.functional.interpolate(pixels, size=view.plane, mode="bilinear", antialias=True)
    expected = plane.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    top, left = view.patches[5]
    difference = np.abs(clip[:, 28:56, 28:56].astype(int) - expected[:, top : top + 28, left : left + 28])
    assert difference.max() <= 1


class CountingVideo:
    """A video without a file, which counts what is asked of it."""

    info = VideoInfo(
        width=WIDTH, height=HEIGHT, fps=25.0, num_frames=NUM_FRAMES, pix_fmt="rgb24", codec="none", decoder="counting"
    )

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.alive = 0

    def frames(self, indices: Sequence[int]) -> Iterator[tuple[int, Picture]]:
        self.asked.append(list(indices))
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for index in indices:
            pixels[:] = index
            yield index, RgbPicture(pixels)

    def close(self) -> None:
        """Nothing to release."""

    def __enter__(self) -> "CountingVideo":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to release."""


def test_one_pass_serves_all_views_of_all_view_sets() -> None:
    video = CountingVideo()
    clips = cut_clips(video, POLICIES, {name: views_of(policy, 5) for name, policy in POLICIES.items()})
    needed = {index for policy in POLICIES.values() for view in views_of(policy, 5) for index in view.frames}
    assert video.asked == [sorted(needed)]
    for name, policy in POLICIES.items():
        for clip, view in zip(clips[name], views_of(policy, 5), strict=True):
            assert [int(frame.mean()) for frame in clip] == list(view.frames)


def test_repeated_frames_are_filled_in() -> None:
    policy = POLICIES["crop"]
    view = draw_view(policy, num_frames=2, height=HEIGHT, width=WIDTH, digest=DIGEST, view=1, repeat=True)
    clip = cut_clips(CountingVideo(), {"x": policy}, {"x": [view]})["x"][0]
    assert [int(frame.mean()) for frame in clip] == list(view.frames)
    assert set(view.frames) == {0, 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"patches": ((0, 60),)},
        {"patches": ((-1, 0),)},
        {"frames": (0, 1)},
        {"patch": 47},
        {"patches": ((0, 0), (1, 1))},
    ],
)
def test_parameters_that_do_not_fit_are_refused(changed: dict[str, object]) -> None:
    values = {"frames": (0, 1, 2, 3), "plane": (HEIGHT, WIDTH), "patches": ((0, 0),), "patch": 48} | changed
    with pytest.raises(ViewError, match="expected 4 frames and 1 patches of 48 px"):
        cut_clips(CountingVideo(), POLICIES, {"crop": [ViewParameters(**values)]})


def task_for(path: Path, digest: str, **changed: object) -> RenderTask:
    policy = ViewPolicy(policy="crop", sampling="uniform", num_frames=4, size=64)
    values = {"num_frames": 24, "policies": {"main": policy}, "num_views": 2, "decoder": "pyav", "repeat": False}
    return RenderTask(path=path, digest=digest, **(values | changed))


def test_a_task_gives_clips_and_what_made_them(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", width=64, height=64)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    clips = render_video(task_for(path, digest))
    assert isinstance(clips, Clips)
    assert clips.arrays["main"].shape == (2, 4, 64, 64, 3)
    frames = ViewParameters.from_json(clips.columns["main_view"][0]).frames
    assert [index_of(frame) for frame in clips.arrays["main"][0]] == list(frames)
    assert clips.columns["main_decoder"] == [pyav.version()] * 2


def test_a_task_that_cannot_be_done_gives_the_reason(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", width=64, height=64)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for task, reason in (
        (task_for(path, "0" * 64), "not the one in the manifest"),
        (task_for(path, digest, num_frames=23), "the manifest has 23 frames, the file 24"),
        (task_for(tmp_path / "absent.mp4", digest), "cannot read the file"),
        (task_for(tmp_path, digest), "not a regular file"),
        (task_for(path, digest, decoder="yuv"), r"reads .yuv and .y4m"),
    ):
        result = render_video(task)
        assert isinstance(result, str)
        assert reason in result


MEANWHILE = {
    "shrinks": lambda path: os.truncate(path, path.stat().st_size // 2),
    "grows": lambda path: os.truncate(path, path.stat().st_size + 100),
    "is written over": lambda path: path.write_bytes(path.read_bytes()),
    "is replaced": lambda path: shutil.copyfile(path, f"{path}.new") and os.replace(f"{path}.new", path),
    "goes": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", MEANWHILE)
@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_a_file_that_changes_while_it_is_decoded_fails(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, decoder: str
) -> None:
    copy = tmp_path / "v.mp4"
    shutil.copyfile(path, copy)
    task = RenderTask(
        path=copy,
        digest=hashlib.sha256(copy.read_bytes()).hexdigest(),
        num_frames=None,
        policies={"resize": POLICIES["resize"]},
        num_views=1,
        decoder=decoder,
        repeat=False,
        options=DecodeOptions(),
    )
    assert isinstance(render_video(task), Clips)
    # Its frames are counted and its views drawn; pixels come next.
    draw = clips.draw_view
    monkeypatch.setattr(clips, "draw_view", lambda *told, **more: (MEANWHILE[how](copy), draw(*told, **more))[1])
    reason = render_video(task)
    assert isinstance(reason, str)
    assert re.match("the file changed while it was decoded|cannot read the file: No such file", reason), reason
