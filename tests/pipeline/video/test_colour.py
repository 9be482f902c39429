"""The colour arithmetic: FFmpeg's own, to the last bit."""

import av
import numpy as np
import pytest

from pipeline.video.colour import MATRICES, Colour, pixels_to_rgb, planes_to_rgb, untagged

RNG = np.random.default_rng(7)


@pytest.mark.parametrize(("matrix", "number"), [("bt601", 5), ("bt709", 1), ("smpte240m", 7), ("bt2020", 9)])
@pytest.mark.parametrize("full_range", [False, True])
def test_equal_to_ffmpeg_bit_by_bit(matrix: str, number: int, full_range: bool) -> None:
    height, width = 64, 96
    planes = RNG.integers(0, 256, (height * 3 // 2, width), np.uint8)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.colorspace, frame.color_range = number, 2 if full_range else 1
    y = planes[:height]
    u = planes[height : height + height // 4].reshape(height // 2, width // 2)
    v = planes[height + height // 4 :].reshape(height // 2, width // 2)
    mine = planes_to_rgb(
        y, u, v, subsampling=(1, 1), origin=(0, 0), depth=8, colour=Colour(matrix=matrix, full_range=full_range)
    )
    np.testing.assert_array_equal(mine, frame.to_ndarray(format="rgb24"))


@pytest.mark.parametrize("matrix", MATRICES)
def test_black_white_and_grey(matrix: str) -> None:
    y, grey = np.array([16, 235, 126], np.uint8), np.full(3, 128, np.uint8)
    rgb = pixels_to_rgb(y, grey, grey, depth=8, colour=Colour(matrix=matrix, full_range=False))
    assert rgb[0].tolist() == [0, 0, 0]
    assert rgb[1].min() >= 254
    assert len(set(rgb[2].tolist())) == 1


@pytest.mark.parametrize("depth", [10, 12, 16])
def test_deeper_samples_of_the_same_levels_give_the_same_pixels(depth: int) -> None:
    y, u, v = RNG.integers(0, 256, (3, 500), np.uint16)
    colour = Colour(matrix="bt709", full_range=False)
    expected = pixels_to_rgb(y, u, v, depth=8, colour=colour)
    shift = depth - 8
    np.testing.assert_array_equal(
        pixels_to_rgb(y << shift, u << shift, v << shift, depth=depth, colour=colour), expected
    )


@pytest.mark.parametrize("subsampling", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)])
def test_a_region_is_cut_out_of_the_whole(subsampling: tuple[int, int]) -> None:
    height, width = 40, 1500
    y = RNG.integers(0, 256, (height, width), np.uint8)
    u, v = RNG.integers(0, 256, (2, -(-height >> subsampling[0]) + 1, -(-width >> subsampling[1]) + 1), np.uint8)
    colour = Colour(matrix="bt601", full_range=False)
    at = np.add.outer(np.arange(height), np.zeros(width, int)), np.add.outer(np.zeros(height, int), np.arange(width))
    chroma = at[0] >> subsampling[0], at[1] >> subsampling[1]
    expected = pixels_to_rgb(y, u[chroma], v[chroma], depth=8, colour=colour)
    top, left = 3, 5
    origin = (top & ((1 << subsampling[0]) - 1), left & ((1 << subsampling[1]) - 1))
    cut = planes_to_rgb(
        y[top:, left:],
        u[top >> subsampling[0] :, left >> subsampling[1] :],
        v[top >> subsampling[0] :, left >> subsampling[1] :],
        subsampling=subsampling,
        origin=origin,
        depth=8,
        colour=colour,
    )
    np.testing.assert_array_equal(cut, expected[top:, left:])


def test_untagged_video_is_bt709_from_720_lines() -> None:
    assert [untagged(height) for height in (576, 719, 720, 2160)] == ["bt601", "bt601", "bt709", "bt709"]
