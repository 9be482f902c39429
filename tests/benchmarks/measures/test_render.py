"""The render benchmark runs and gives figures that make sense."""

from pathlib import Path

from benchmarks.material import VIEW
from benchmarks.measures.render import RESIZE, decode_alone, measure, tasks_of
from tests.videos import write_video


def test_figures_are_there(tmp_path: Path) -> None:
    paths = [write_video(tmp_path / f"{number}.mp4", num_frames=12) for number in range(2)]
    found = measure(paths, {"main": VIEW, "resized": RESIZE}, num_views=2, rounds=1)
    assert len(found.ratios) == len(found.cpu_ratios) == len(found.rates) == 1
    assert found.rates[0] > 0


def test_the_other_side_decodes_the_frames_that_the_views_need(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", num_frames=12)
    (task,) = tasks_of([path], {"main": VIEW}, num_views=3, decoder="pyav")
    assert decode_alone(task) == 8
