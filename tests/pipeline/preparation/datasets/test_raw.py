"""Headerless video from the publisher's folder to the stored pixels, by its name or by its table."""

from pathlib import Path

import numpy as np

from pipeline.core.manifest import read_videos, write_videos
from pipeline.rendering.clips import Clips, render_video
from pipeline.rendering.policy import ViewPolicy
from pipeline.rendering.render import make_task
from pipeline.rendering.settings import RenderSettings, ViewSet
from tests.pipeline.preparation.datasets.published import prepared, write
from tests.videos import index_of, write_raw

FRAMES = 6
SEEN = [int((FRAMES - 1) / FRAMES * (part + 0.5)) for part in range(FRAMES)]
"""The middle of each part, as ``uniform`` samples."""
COLUMNS = {"width": "w", "height": "h", "fps": "rate", "pix_fmt": "samples"}
POLICY = ViewPolicy(
    policy="squash", sampling="uniform", num_frames=FRAMES, size=64, interpolation="bilinear", antialias=True, grid=1
)
SETTINGS = RenderSettings(
    decoder="auto", short="fail", views_per_video=1, view_sets={"main": ViewSet(policy="squash")}, max_failed=0
)
ROWS = {
    "by name_96x64_25fps.yuv": (8, ",,,", (25.0, "yuv420p")),
    "by_name_96x64_59.94fps_10bit.yuv": (10, ",,,", (59.94, "yuv420p10le")),
    "by_name_96x64_yuv420p10le.yuv": (10, ",,24,", (24.0, "yuv420p10le")),
    "eight.yuv": (8, "96,64,30,yuv420p", (30.0, "yuv420p")),
    "ten.yuv": (10, "96,64,50,yuv420p10le", (50.0, "yuv420p10le")),
    "lying_1920x1080_8bit.yuv": (10, "96,64,50,yuv420p10le", (50.0, "yuv420p10le")),
}


def test_eight_and_ten_bits_are_rendered_alike_whoever_tells_their_layout(tmp_path: Path, inline: None) -> None:
    folder = tmp_path / "raw/csv"
    folder.mkdir(parents=True)
    for seed, (name, (depth, _, _)) in enumerate(ROWS.items()):
        path = folder / name
        write_raw(path, num_frames=FRAMES, width=96, height=64, depth=depth)
        data = bytearray(path.read_bytes())
        data[0] = seed  # files that are the same would be told
        path.write_bytes(data)
    write(folder / "labels.csv", ["path,mos,w,h,rate,samples", *(f"{name},3,{told[1]}" for name, told in ROWS.items())])
    videos = prepared(tmp_path, "csv", {"low": 1.0, "high": 5.0, "columns": COLUMNS}).videos
    write_videos(tmp_path / "videos.csv", videos)
    pixels = []
    for video in read_videos(tmp_path / "videos.csv"):
        assert (video.width, video.height, video.num_frames) == (96, 64, FRAMES)
        assert (video.fps, video.pix_fmt) == ROWS[Path(video.path).name][2]
        clips = render_video(make_task(tmp_path / video.path, video, {"main": POLICY}, SETTINGS))
        assert isinstance(clips, Clips), clips
        frames = clips.arrays["main"][0]
        assert [index_of(frame) for frame in frames] == SEEN
        pixels.append(frames[:, 8:, 8:].astype(int))
    assert len(pixels) == len(ROWS)
    assert max(np.abs(other - pixels[0]).max() for other in pixels) <= 1
