import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from cache.build import build_store
from cache.store import ArraySpec, Rows, Store, Unit, open_store
from pipeline.core.files import file_digest
from pipeline.core.manifest import Video
from pipeline.reporting import load_run
from pipeline.reporting.panels.shared import pictures
from pipeline.video.pictures import RgbPicture
from tests.pipeline.reporting.conftest import FAILED_VIDEO
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
    frame = pictures.middle_frames([film], tmp_path)["film"]
    assert not isinstance(frame, str)
    assert (frame.shape, frame.dtype) == ((272, 480, 3), np.uint8)


def test_raw_video_takes_its_size_from_the_manifest(tmp_path: Path, film: Video) -> None:
    path = write_raw(tmp_path / "nameless.yuv", width=32, height=24, num_frames=3)
    raw = replace(film, path="nameless.yuv", sha256=file_digest(path), width=32, height=24, fps=25.0)
    frame = pictures.middle_frames([raw], tmp_path)["film"]
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
    found = pictures.middle_frames(videos, tmp_path)
    assert found["changed"] == "its file has changed"
    assert found["gone"] == "its file is not there"
    assert "leaves the data root" in str(found["outside"])
    assert isinstance(found["text"], str)


@pytest.mark.parametrize("shape", [(1, 2000, 3), (2000, 1, 3), (480, 480, 3), (481, 100, 3)])
def test_a_frame_keeps_at_least_a_pixel(shape: tuple[int, int, int]) -> None:
    small = pictures._small(RgbPicture(np.full(shape, 7, np.uint8)))
    assert min(small.shape[:2]) >= 1
    assert small.max() == small.min() == 7


@pytest.fixture
def clips(tmp_path: Path) -> Store:
    """One video; frame t of ``whole`` is 10·t everywhere, ``pieces`` and ``large`` are fragments of the same."""
    sizes = {"pieces": (8, 8), "whole": (8, 6), "large": (200, 200)}
    specs = [
        ArraySpec(
            name,
            "uint8",
            (5, *size, 3),
            ("t", f"{name}_h", f"{name}_w", "c"),
            {"view": {"policy": "resize" if name == "whole" else "fragments"}},
        )
        for name, size in sizes.items()
    ]

    def compute(jobs):
        steps = (np.arange(5, dtype=np.uint8) * 10).reshape(1, 5, 1, 1, 1)
        for job in jobs:
            yield job, Rows({spec.name: np.broadcast_to(steps, (1, *spec.shape)).copy() for spec in specs}, {})

    path = tmp_path / "clips.zarr"
    build_store(path, kind="clips", specs=specs, units=[Unit("v", "ab", "ab", 1)], compute=compute, pool=None)
    return open_store(path)


def test_whole_frames_are_shown_before_fragments(clips: Store) -> None:
    assert pictures.view_set_to_show(clips) == "whole"
    assert pictures.policy_of(clips, "whole") == "resize"


def test_first_middle_and_last_frame_side_by_side(clips: Store) -> None:
    made = pictures.picture(pictures.frames_of(clips, "whole", "v"), "<v>")
    assert 'width="22" height="8" alt="&lt;v&gt;"' in made
    (data,) = re.findall(r'src="data:image/png;base64,([^"]*)"', made)
    pixels = (matplotlib.image.imread(io.BytesIO(base64.b64decode(data)), format="png") * 255).round()
    assert pixels.shape == (8, 22, 4)
    assert pixels[0, [0, 8, 16], 0].tolist() == [0, 20, 40]
    assert pixels[0, :, 3].tolist() == [*[255] * 6, 0, 0, *[255] * 6, 0, 0, *[255] * 6]


def test_a_large_clip_shows_its_middle_frame(clips: Store) -> None:
    (frame,) = pictures.frames_of(clips, "large", "v")
    assert frame[0, 0, 0] == 20


def test_no_frames_of_a_failed_or_unknown_video(finished_run: Path) -> None:
    store = load_run(finished_run).clips
    assert store is not None
    counts = {name: len(pictures.frames_of(store, "main", name)) for name in (FAILED_VIDEO, "x", "content-01_av1_44")}
    assert counts == {FAILED_VIDEO: 0, "x": 0, "content-01_av1_44": 3}
