import numpy as np

from pipeline.synthesis.resampling import Path, blur, resize, shoot_plane


def _steady(x, y, zoom=1.0):
    return Path(*(np.array([value], dtype=np.float32) for value in (x, y, zoom, 0.0)))


def test_a_whole_pixel_crop_is_a_copy():
    canvas = np.random.default_rng(1).random((64, 96), dtype=np.float32)
    frame = shoot_plane(canvas, _steady(40.5, 30.5), 32, 16)[0]
    np.testing.assert_allclose(frame, canvas[23:39, 25:57], atol=1e-6)


def test_half_a_pixel_moves_a_smooth_picture_by_half_a_pixel():
    columns = np.arange(96)
    canvas = np.tile(np.sin(2 * np.pi * columns / 24), (64, 1)).astype(np.float32)
    frame = shoot_plane(canvas, _steady(41.0, 30.5), 32, 16)[0]
    expected = np.sin(2 * np.pi * (np.arange(25, 57) + 0.5) / 24)
    np.testing.assert_allclose(frame[0], expected, atol=5e-3)


def test_the_canvas_repeats_beyond_its_edges():
    canvas = np.random.default_rng(1).random((64, 96), dtype=np.float32)
    near, far = (shoot_plane(canvas, _steady(x, 10.25), 32, 16)[0] for x in (90.25, 90.25 + 96))
    np.testing.assert_allclose(near, far, atol=1e-4)


def test_resize_and_blur_keep_a_constant_and_shrink_without_aliasing():
    flat = np.full((2, 20, 30), 7.0, dtype=np.float32)
    np.testing.assert_allclose(resize(flat, 46, 34), 7.0, rtol=1e-5)
    np.testing.assert_allclose(blur(flat, 1.3), 7.0, rtol=1e-5)
    stripes = np.tile(np.array([0, 1], dtype=np.float32), (1, 20, 20))
    assert np.abs(resize(stripes, 10, 20)[0][:, 2:-2] - 0.5).max() < 0.12
