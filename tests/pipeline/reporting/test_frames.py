import base64
import io

import matplotlib.image
import numpy as np
import pytest

from cache.build import build_store
from cache.store import ArraySpec, Rows, Unit, open_store
from pipeline.reporting import load_run
from pipeline.reporting.panels.shared import frames


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


def pixels_of(strip):
    data = base64.b64decode(strip.uri.removeprefix("data:image/png;base64,"))
    return (matplotlib.image.imread(io.BytesIO(data), format="png") * 255).round().astype(np.uint8)


def test_whole_frames_are_shown_before_fragments(clips):
    assert frames.view_set_to_show(clips) == "whole"
    assert frames.policy_of(clips, "whole") == "resize"
    assert frames.policy_of(clips, "frames") is None


def test_first_middle_and_last_frame_side_by_side(clips):
    strip = frames.strip_of(clips, "whole", "v")
    assert (strip.width, strip.height, strip.num_frames) == (22, 8, 3)
    pixels = pixels_of(strip)
    assert pixels.shape == (8, 22, 4)
    assert pixels[0, [0, 8, 16], 0].tolist() == [0, 20, 40]
    assert pixels[0, :, 3].tolist() == [*[255] * 6, 0, 0, *[255] * 6, 0, 0, *[255] * 6]


def test_a_large_clip_shows_its_middle_frame(clips):
    strip = frames.strip_of(clips, "large", "v")
    assert (strip.num_frames, pixels_of(strip)[0, 0, 0]) == (1, 20)


def test_no_frames_of_a_failed_or_unknown_video(run_root):
    store = load_run(run_root).clips
    assert frames.strip_of(store, "main", "content-01_av1_50") is None
    assert frames.strip_of(store, "main", "nobody") is None
    assert frames.strip_of(store, "main", "content-01_av1_44") is not None
