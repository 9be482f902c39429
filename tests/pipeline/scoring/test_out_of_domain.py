"""A trained student calls what is clearly foreign out of domain, and what is like its training videos it does not."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.scoring.scorer import QualityScorer
from pipeline.students.distillation.distill import distill
from pipeline.synthesis.encoding import Recipe, encode
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render
from tests.rendered_run import write_run
from tests.tiny_run import tiny_settings

FAMILIES = ("leaves", "ground", "hills", "water", "portrait", "buildings")
SHAPE = Shape(width=96, height=64, num_frames=8)
NUM_VIDEOS, NUM_NEW = 64, 16
HEIGHT, WIDTH, FRAMES = 64, 96, 8


def natural(path: Path, number: int) -> int:
    """A generated scene with a camera's blur and noise, at one of several qualities."""
    source = render(FAMILIES[number % len(FAMILIES)], ("domain", number), SHAPE)
    path.write_bytes(encode(source, Recipe(codec="h264", crf=20 + 5 * (number % 5), preset="veryfast", fps=25)))
    return FRAMES


def foreign() -> dict[str, NDArray[np.uint8]]:
    """Videos that no camera made, uint8 ``t h w c``."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    bars = np.array([[255, 255, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [255, 0, 0], [0, 0, 255]], np.uint8)
    board = [np.repeat((((columns + t) // 8 + rows // 8) % 2 * 255)[..., None], 3, 2) for t in range(FRAMES)]
    return {
        "noise": np.random.default_rng(0).integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), np.uint8),
        "black": np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8),
        "bars": np.repeat(bars[columns * len(bars) // WIDTH][None], FRAMES, axis=0),
        "board": np.array(board, np.uint8),
    }


def write(path: Path, frames: NDArray[np.uint8]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.slow
def test_foreign_videos_are_called_so_and_new_ones_of_the_same_kind_are_not(tmp_path):
    paths = write_run(tmp_path, NUM_VIDEOS, natural)
    student = distill(tiny_settings(epochs=4), paths, device="cpu", scratch=tmp_path / "scratch").student
    student.save_pretrained(tmp_path / "model")
    new = [tmp_path / f"new{number}.mp4" for number in range(NUM_NEW)]
    for number, path in enumerate(new):
        natural(path, 1000 + number)
    strange = [write(tmp_path / f"{name}.mp4", frames) for name, frames in foreign().items()]
    with QualityScorer.from_pretrained(tmp_path / "model") as scorer:
        threshold = scorer.record.domain.threshold
        found = {path.stem: result for path, result in scorer.score_many([*new, *strange])}
    distances = " ".join(f"{name} {result.domain_distance:.2f}" for name, result in found.items())
    distances += f"; threshold {threshold:.2f}"
    assert all(found[path.stem].out_of_domain for path in strange), distances
    assert sum(found[path.stem].out_of_domain for path in new) <= NUM_NEW // 8, distances
