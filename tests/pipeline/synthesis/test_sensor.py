import numpy as np
import pytest

from pipeline.synthesis.planes import Planes, Shape
from pipeline.synthesis.sensor import GRAIN_LEVELS, OCTAVES, film
from pipeline.synthesis.sources import FAMILIES, render
from pipeline.synthesis.textures import spectral


def _filmed(luma):
    chroma = np.zeros((luma.shape[0], luma.shape[1] // 2, luma.shape[2] // 2), dtype=np.float32)
    return film(np.random.default_rng(1), Planes(luma, chroma, chroma)).y


def _fine_deviation(luma):
    """Standard deviation of the difference of diagonal neighbours, in 0 … 1."""
    return float((luma[:, 1:, 1:] - luma[:, :-1, :-1]).std())


def test_faint_and_strong_detail_come_out_alike():
    texture = spectral(np.random.default_rng(2), 1.0, (180, 320))[None]
    faint, strong = (_filmed((0.5 + contrast * texture).astype(np.float32)) for contrast in (0.04, 0.2))
    assert _fine_deviation(faint) == pytest.approx(_fine_deviation(strong), rel=0.15)


def test_an_empty_wall_keeps_nothing_but_grain():
    wall = _filmed(np.full((4, 112, 128), 0.5, dtype=np.float32)) * 219
    assert GRAIN_LEVELS[0] * 0.95 < wall.std() < GRAIN_LEVELS[1] * 1.05
    assert abs(np.corrcoef(wall[0].ravel(), wall[1].ravel())[0, 1]) < 0.05


def test_every_family_has_detail_of_one_order():
    deviations = [_fine_deviation(render(name, ("detail", 1), Shape(320, 180, 2)).y / 219) for name in FAMILIES]
    assert max(deviations) < 4 * min(deviations)
    assert min(deviations) > OCTAVES[0]
