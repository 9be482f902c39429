from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.files import file_digest
from pipeline.core.manifest import Video
from pipeline.reporting.panels.shared import originals
from pipeline.video.pictures import RgbPicture
from tests.videos import write_raw, write_video


@pytest.fixture
def film(tmp_path: Path) -> Video:
    write_video(tmp_path / "film.mkv", codec="ffv1", width=640, height=362, num_frames=5)
    return Video(
        video_id="film",
        path="film.mkv",
        sha256=file_digest(tmp_path / "film.mkv"),
        dataset="d",
        width=640,
        height=362,
        fps=None,
        num_frames=5,
        pix_fmt="yuv420p",
    )


def test_a_large_frame_is_scaled_down(tmp_path: Path, film: Video) -> None:
    frame = originals.middle_frames([film], tmp_path)["film"]
    assert not isinstance(frame, str)
    assert (frame.shape, frame.dtype) == ((272, 480, 3), np.uint8)


def test_raw_video_takes_its_size_from_the_manifest(tmp_path: Path, film: Video) -> None:
    path = write_raw(tmp_path / "nameless.yuv", width=32, height=24, num_frames=3)
    raw = replace(film, path="nameless.yuv", sha256=file_digest(path), width=32, height=24, fps=25.0)
    frame = originals.middle_frames([raw], tmp_path)["film"]
    assert not isinstance(frame, str)
    assert frame.shape == (24, 32, 3)


def test_what_cannot_be_shown_is_said(tmp_path: Path, film: Video) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    videos = [
        replace(film, video_id="changed", sha256="0" * 64),
        replace(film, video_id="gone", path="gone.mp4"),
        replace(film, video_id="outside", path="../film.mkv"),
        replace(film, video_id="text", path="text.mp4", sha256=file_digest(tmp_path / "text.mp4")),
    ]
    found = originals.middle_frames(videos, tmp_path)
    assert found["changed"] == "its file has changed"
    assert found["gone"] == "its file is not there"
    assert "leaves the data root" in str(found["outside"])
    assert isinstance(found["text"], str)


@pytest.mark.parametrize("shape", [(1, 2000, 3), (2000, 1, 3), (480, 480, 3), (481, 100, 3)])
def test_a_frame_keeps_at_least_a_pixel(shape: tuple[int, int, int]) -> None:
    small = originals._small(RgbPicture(np.full(shape, 7, np.uint8)))
    assert min(small.shape[:2]) >= 1
    assert small.max() == small.min() == 7
