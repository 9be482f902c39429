import numpy as np
import pytest
import scipy.ndimage

from pipeline.synthesis import sensor
from pipeline.synthesis.planes import Planes, Shape
from pipeline.synthesis.sensor import COMMON, OCTAVES, any_camera, film
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
    assert COMMON.grain[0] * 0.95 < wall.std() < COMMON.grain[1] * 1.05
    assert abs(np.corrcoef(wall[0].ravel(), wall[1].ravel())[0, 1]) < 0.05


def test_every_family_has_detail_of_one_order():
    deviations = [_fine_deviation(render(name, ("detail", 1), Shape(320, 180, 2)).y / 219) for name in FAMILIES]
    assert max(deviations) < 4 * min(deviations)
    assert min(deviations) > OCTAVES[0]


def test_other_cameras_leave_contents_more_different():
    def spread_of_contrast(cameras):
        contrasts = []
        for number, camera in enumerate(cameras):
            luma = render("still_life", ("cameras", number), Shape(128, 96, 2), camera).y.astype(float)
            contrasts.append(np.log(np.abs(np.diff(luma, axis=2)).mean()))
        return np.std(contrasts)

    rng = np.random.default_rng(3)
    assert spread_of_contrast([any_camera(rng) for _ in range(8)]) > 3 * spread_of_contrast([COMMON] * 8)


@pytest.mark.parametrize("step", [1, 2, 8])
def test_the_wavelet_is_the_spline_filter_with_holes(step: int) -> None:
    frames = np.random.default_rng(1).standard_normal((2, 21, 30), dtype=np.float32)
    taps = np.zeros(4 * step + 1)
    taps[::step] = np.array([1, 4, 6, 4, 1]) / 16
    wanted = frames.astype(np.float64)
    for axis in (1, 2):
        wanted = scipy.ndimage.convolve1d(wanted, taps, axis=axis, mode="nearest")
    np.testing.assert_allclose(sensor._smooth(frames, step), wanted, atol=1e-5)
