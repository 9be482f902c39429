import numpy as np
import pytest

from pipeline.synthesis.encoding import CODECS, PRESETS, Recipe, bits_per_pixel, decode
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render
from pipeline.teachers.pretraining.natural.bitrates import encode_to_rate


@pytest.mark.parametrize("codec", CODECS)
def test_more_bits_are_spent_where_more_are_allowed(codec):
    video = render("leaves", ("rates", 1), Shape(160, 128, 12))
    recipe = Recipe(codec=codec, crf=99, preset=PRESETS[codec][0])
    spent = [bits_per_pixel(encode_to_rate(video, recipe, allowed), video) for allowed in (0.05, 0.8)]
    assert spent[1] > 2 * spent[0]
    assert spent[1] == pytest.approx(0.8, rel=0.6)


def test_two_passes_are_repeatable_and_see_the_scaled_frames():
    video = render("leaves", ("rates", 1), Shape(160, 128, 12))
    recipe = Recipe(codec="h264", crf=99, preset="veryfast", scale=0.5)
    file = encode_to_rate(video, recipe, 0.3)
    assert file == encode_to_rate(video, recipe, 0.3)
    assert decode(file).shape == Shape(80, 64, 12)
    assert np.isfinite(bits_per_pixel(file, video))
