"""Auto: decord only where it gives PyAV's frames; open groups of pictures are where it repeats some."""

import platform
import sys
from pathlib import Path

from pipeline.video.decoder import DecodeOptions
from pipeline.video.decoders import auto, decord, pyav
from tests.videos import write_video

OPEN = {"x265-params": "log-level=none:pools=none:frame-threads=1:keyint=8:min-keyint=8:bframes=3:open-gop=1:b-adapt=0"}
CLOSED = {"x265-params": OPEN["x265-params"].replace("open-gop=1", "open-gop=0")}


def test_open_groups_are_seen_and_kept_from_decord(tmp_path: Path) -> None:
    path = write_video(tmp_path / "open.mp4", codec="libx265", options=OPEN, width=128, height=128)
    with pyav.open(path, options=DecodeOptions()) as video:
        assert video.info.open_groups
        assert "open groups" in str(decord.refusal(video.info))
    with auto.open(path, options=DecodeOptions()) as video:
        assert video.info.decoder.startswith("pyav")
        assert [index for index, _ in video.frames([0, 9, 17, 21])] == [0, 9, 17, 21]


def test_closed_groups_are_left_to_decord_where_there_is_one(tmp_path: Path) -> None:
    assert decord.available() == (sys.platform == "linux" and platform.machine() == "x86_64"), "pyproject.toml's marker"
    path = write_video(tmp_path / "closed.mp4", codec="libx265", options=CLOSED, width=128, height=128)
    with auto.open(path, options=DecodeOptions()) as video:
        assert not video.info.open_groups
        assert video.info.decoder.startswith("decord" if decord.available() else "pyav")
