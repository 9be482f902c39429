import base64
import io
import re

import matplotlib.image
import numpy as np
import pytest

from cache.build import build_store
from cache.store import ArraySpec, Rows, Unit, open_store
from pipeline.reporting import load_run
from pipeline.reporting.panels.shared import frames
from tests.pipeline.reporting.conftest import FAILED_VIDEO


def dims(name):
    return ("t", f"{name}_h", f"{name}_w", "c")


@pytest.fixture
def clips(tmp_path):
    """One video; frame t of ``whole`` is 10·t everywhere, ``pieces`` are fragments of the same."""
    specs = [
        ArraySpec("pieces", "uint8", (5, 8, 8, 3), dims("pieces"), {"policy": "fragments"}),
        ArraySpec("whole", "uint8", (5, 8, 6, 3), dims("whole"), {"view": {"policy": "resize"}}),
        ArraySpec("large", "uint8", (5, 200, 200, 3), dims("large"), {"policy": "fragments"}),
        ArraySpec("frames", "int64", (5,), ("t",), {}),
    ]

    def compute(jobs):
        for job in jobs:
            yield (
                job,
                Rows(
                    {
                        spec.name: np.broadcast_to(
                            (np.arange(5) * 10).reshape(5, *(1,) * (len(spec.shape) - 1)), (1, *spec.shape)
                        ).astype(spec.dtype)
                        for spec in specs
                    },
                    {},
                ),
            )

    path = tmp_path / "clips.zarr"
    build_store(path, kind="clips", specs=specs, units=[Unit("v", "ab", "ab", 1)], compute=compute, pool=None)
    return open_store(path)


def pixels_of(picture):
    data = re.search(r'src="data:image/png;base64,([^"]*)"', picture)[1]
    return (matplotlib.image.imread(io.BytesIO(base64.b64decode(data)), format="png") * 255).round().astype(np.uint8)


def test_whole_frames_are_shown_before_fragments(clips):
    assert frames.view_set_to_show(clips) == "whole"
    assert frames.policy_of(clips, "whole") == "resize"
    assert frames.policy_of(clips, "frames") is None


def test_first_middle_and_last_frame_side_by_side(clips):
    picture = frames.picture(frames.frames_of(clips, "whole", "v"), "<v>")
    assert 'width="22" height="8" alt="&lt;v&gt;"' in picture
    pixels = pixels_of(picture)
    assert pixels.shape == (8, 22, 4)
    assert pixels[0, [0, 8, 16], 0].tolist() == [0, 20, 40]
    assert pixels[0, :, 3].tolist() == [*[255] * 6, 0, 0, *[255] * 6, 0, 0, *[255] * 6]


def test_a_large_clip_shows_its_middle_frame(clips):
    (frame,) = frames.frames_of(clips, "large", "v")
    assert frame[0, 0, 0] == 20


def test_no_frames_of_a_failed_or_unknown_video(finished_run):
    store = load_run(finished_run).clips
    counts = {name: len(frames.frames_of(store, "main", name)) for name in (FAILED_VIDEO, "x", "content-01_av1_44")}
    assert counts == {FAILED_VIDEO: 0, "x": 0, "content-01_av1_44": 3}
