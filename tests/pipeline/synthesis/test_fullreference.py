import re

import av
import numpy as np
import pytest
from av.filter import Graph
from scipy.signal import convolve2d

from pipeline.synthesis import fullreference as fr
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def plain_ms_ssim(x, y):
    """The published formula with plain two-dimensional convolutions, one frame, float64."""
    axis = np.arange(11) - 5
    window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    result = 1.0
    for index, weight in enumerate(WEIGHTS):
        mx, my = convolve2d(x, window, "valid"), convolve2d(y, window, "valid")
        vx = convolve2d(x * x, window, "valid") - mx * mx
        vy = convolve2d(y * y, window, "valid") - my * my
        cov = convolve2d(x * y, window, "valid") - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        cs = (2 * cov + c2) / (vx + vy + c2)
        luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
        result *= (cs if index < 4 else luminance * cs).mean() ** weight
        rows, columns = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
        x, y = (p[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3)) for p in (x, y))
    return result


@pytest.fixture(scope="module")
def pair():
    reference = render("foliage", ("measure", 1), Shape(320, 180, 4)).y
    noise = np.random.default_rng(1).normal(0, 12, reference.shape)
    return reference, np.clip(reference + noise, 0, 255).astype(np.uint8)


def test_ms_ssim_is_that_of_plain_convolutions(pair):
    reference, distorted = pair
    expected = np.mean([plain_ms_ssim(x.astype(float), y.astype(float)) for x, y in zip(*pair, strict=True)])
    assert fr.ms_ssim(reference, distorted) == pytest.approx(expected, abs=2e-5)
    assert 0.5 < expected < 0.99


def test_identical_videos_are_perfect(pair):
    reference, _ = pair
    assert fr.ms_ssim(reference, reference) == pytest.approx(1.0, abs=1e-6)
    assert fr.psnr(reference, reference) == 50.0
    assert fr.decibels(1.0) == 50.0
    assert fr.detail_loss(reference, reference) == 0.0
    assert np.abs(fr.patch_measures(reference[:, :112, :112], reference[:, :112, :112], 14, 2)).max() < 1e-5


def test_score_is_the_fixed_map():
    assert fr.score(16.0) == 50.0
    assert fr.score(20.0) == pytest.approx(100 / (1 + np.exp(-1)))


def test_small_frames_are_measured_too(pair):
    reference, distorted = pair
    assert 0 < fr.ms_ssim(reference[:, :112, :112], distorted[:, :112, :112]) < 1


def test_psnr_of_a_known_error():
    black = np.zeros((2, 32, 32), dtype=np.uint8)
    assert fr.psnr(black, black + np.uint8(5)) == pytest.approx(10 * np.log10(255**2 / 25), abs=1e-4)


def test_psnr_is_that_of_ffmpeg(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = Graph()
    height, width = pair[0].shape[1:]
    ends = [graph.add_buffer(width=width, height=height, format="gray", time_base=1) for _ in pair]
    measure, sink = graph.add("psnr", "stats_file=psnr.log"), graph.add("buffersink")
    for place, end in enumerate(ends):
        end.link_to(measure, 0, place)
    measure.link_to(sink)
    graph.configure()
    for number, frames in enumerate(zip(*pair, strict=True)):
        for end, pixels in zip(ends, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="gray")
            frame.pts, frame.time_base = number, 1
            end.push(frame)
        sink.pull()
    del graph, measure, sink, ends, end
    errors = [float(text) for text in re.findall(r"mse_y:(\S+)", (tmp_path / "psnr.log").read_text())]
    assert len(errors) == 4
    assert fr.psnr(*pair) == pytest.approx(10 * np.log10(255**2 / np.mean(errors)), abs=1e-3)


def test_detail_loss_sees_blur_and_noise_with_opposite_signs(pair):
    reference, distorted = pair
    smooth = reference.copy()
    smooth[:, :, 1:-1] = (reference[:, :, :-2].astype(int) + reference[:, :, 1:-1] + reference[:, :, 2:]) // 3
    assert fr.detail_loss(reference, smooth) > 0.1
    assert fr.detail_loss(reference, distorted) < -0.1


def test_patch_measures_find_the_damaged_patch(pair):
    reference = pair[0][:, :112, :112]
    damaged = reference.copy()
    damaged[0:2, 14:28, 28:42] = 128
    measures = fr.patch_measures(reference, damaged, 14, 2)
    assert measures.shape == (2, 8, 8, 4)
    assert measures.dtype == np.float32
    changed = np.argwhere(np.abs(measures[..., 0]) > 1e-6)
    assert changed.tolist() == [[0, 1, 2]]
    mse = np.square(reference[0:2, 14:28, 28:42].astype(float) - 128).mean()
    assert measures[0, 1, 2, 0] == pytest.approx(np.log10(1 + mse) / 2, rel=1e-5)


def test_shapes_that_do_not_fit_are_refused(pair):
    with pytest.raises(fr.MeasureError, match="expected equal"):
        fr.ms_ssim(pair[0], pair[1][:, :100])
    with pytest.raises(fr.MeasureError, match="16 px"):
        fr.ms_ssim(pair[0][:, :8], pair[1][:, :8])
