from itertools import pairwise

import numpy as np
import pytest

from pipeline.synthesis.planes import Planes, Shape
from pipeline.synthesis.sources import FAMILIES, HELD_OUT, PRETRAINING, UnknownFamily, render, render_together

SMALL = Shape(128, 112, 8)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_renders_the_same_pixels_from_the_same_key(family):
    video, again, other = (render(family, ("test", seed), SMALL) for seed in (1, 1, 2))
    assert video.y.shape == (8, 112, 128)
    assert video.u.shape == video.v.shape == (8, 56, 64)
    assert np.array_equal(video.y, again.y)
    assert np.array_equal(video.v, again.v)
    assert not np.array_equal(video.y, other.y)
    assert video.y.min() >= 5
    assert video.y.max() <= 246


def test_pretraining_and_held_out_families_share_nothing_and_are_all():
    assert not set(PRETRAINING) & set(HELD_OUT)
    assert set(PRETRAINING) | set(HELD_OUT) == set(FAMILIES)


def test_unknown_family_names_the_nearest():
    with pytest.raises(UnknownFamily, match=r"unknown family 'watr'.*did you mean 'water'"):
        render("watr", ("test",), SMALL)
    with pytest.raises(UnknownFamily, match="unknown family 'foggy'"):
        render_together(("water", "foggy"), ("test",), SMALL)


def test_two_scenes_meet_at_an_edge_or_one_is_seen_through_the_other(monkeypatch):
    def flat(level):
        return lambda rng, shape: Planes(*(np.full(size, level, np.float32) for size in _sizes(shape)))

    edges = 0
    monkeypatch.setitem(FAMILIES, "dark", flat(0.1))
    monkeypatch.setitem(FAMILIES, "bright", flat(0.9))
    for number in range(5):
        luma = render_together(("dark", "bright"), ("pair", number), SMALL).y
        assert np.array_equal(luma, render_together(("dark", "bright"), ("pair", number), SMALL).y)
        if np.ptp(luma) < 40:  # grain alone: flat grey through flat grey
            continue
        edges += 1
        bright = luma[0] > np.median([luma.min(), luma.max()])
        assert 0.15 < bright.mean() < 0.85
        # One straight edge: no row changes sides more than once.
        assert np.abs(np.diff(bright[4:-4, 4:-4].astype(int), axis=1)).sum(axis=1).max() == 1
    assert 1 <= edges <= 4


def _sizes(shape):
    whole, half = (shape.height, shape.width), (shape.height // 2, shape.width // 2)
    return [(shape.num_frames, *size) for size in (whole, half, half)]


def test_amplitude_spectrum_falls_like_that_of_natural_pictures():
    slopes = []
    for family in ("ground", "leaves", "foliage", "hills", "bokeh", "water"):
        luma = render(family, ("spectrum", 3), Shape(320, 180, 8)).y[0].astype(float)
        window = np.hanning(180)[:, None] * np.hanning(320)[None]
        amplitude = np.abs(np.fft.fft2((luma - luma.mean()) * window))
        radius = np.hypot(np.fft.fftfreq(180)[:, None], np.fft.fftfreq(320)[None])
        bins = np.geomspace(0.02, 0.4, 12)
        centres = np.sqrt(bins[1:] * bins[:-1])
        means = [amplitude[(radius >= a) & (radius < b)].mean() for a, b in pairwise(bins)]
        slopes.append(-np.polyfit(np.log(centres), np.log(means), 1)[0])
    assert 0.7 < np.median(slopes) < 1.8
