"""Whatever way pixels are asked for, a frame gives the same ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.video.colour import Colour
from pipeline.video.pictures import Box, Picture, PlanarPicture, RgbPicture

FULL_RANGE = Colour(matrix="bt601", full_range=True)


def planar(height: int, width: int, *, subsampling: tuple[int, int] | None, depth: int, seed: int) -> PlanarPicture:
    """A frame of noise; without a subsampling it is grey."""
    rng = np.random.default_rng(seed)

    def noise(*shape: int) -> np.ndarray:
        return rng.integers(0, 1 << depth, shape, np.uint16 if depth > 8 else np.uint8)

    rows, columns = subsampling or (0, 0)
    chroma = (-(-height >> rows), -(-width >> columns))
    u, v = (noise(*chroma), noise(*chroma)) if subsampling else (None, None)
    return PlanarPicture(y=noise(height, width), u=u, v=v, subsampling=(rows, columns), depth=depth, colour=FULL_RANGE)


def whole_of(picture: Picture) -> np.ndarray:
    return picture.region(Box(0, 0, picture.height, picture.width))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    subsampling=st.sampled_from([None, (0, 0), (1, 1), (0, 1), (1, 0), (0, 2), (2, 2)]),
    depth=st.sampled_from([8, 10]),
    data=st.data(),
)
def test_squares_are_those_of_the_whole_frame(
    height: int, width: int, subsampling: tuple[int, int] | None, depth: int, data: st.DataObject
) -> None:
    picture = planar(height, width, subsampling=subsampling, depth=depth, seed=height * 41 + width)
    side = data.draw(st.integers(1, min(height, width)))
    place = st.tuples(st.integers(0, height - side), st.integers(0, width - side))
    corners = [*data.draw(st.lists(place, min_size=1, max_size=5)), (0, 0), (height - side, width - side)]
    whole = whole_of(picture)
    found = picture.squares(corners, side)
    assert found.dtype == np.uint8
    for square, (top, left) in zip(found, corners, strict=True):
        np.testing.assert_array_equal(square, whole[top : top + side, left : left + side])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_squares_of_a_turned_frame(quarters: int) -> None:
    picture = planar(21, 34, subsampling=(1, 1), depth=8, seed=1).turned(quarters)
    whole = whole_of(picture)
    corners = [(0, 0), (3, 8), (picture.height - 9, picture.width - 9)]
    for square, (top, left) in zip(picture.squares(corners, 9), corners, strict=True):
        np.testing.assert_array_equal(square, whole[top : top + 9, left : left + 9])


def test_a_frame_in_rgb_is_cut_as_it_is() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)
    found = RgbPicture(rgb).squares([(1, 2), (12, 22)], 8)
    np.testing.assert_array_equal(found, [rgb[1:9, 2:10], rgb[12:20, 22:30]])
