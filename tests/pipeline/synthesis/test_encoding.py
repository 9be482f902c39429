import os
from dataclasses import replace

import numpy as np
import pytest

from pipeline.synthesis.encoding import (
    CODECS,
    CRF_RANGES,
    PRESETS,
    EncodingError,
    Recipe,
    bits_per_pixel,
    decode,
    encode,
    scale,
)
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render


@pytest.fixture(scope="module")
def source():
    return render("leaves", ("encoding", 1), Shape(128, 112, 10))


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_repeat_and_quality_and_size_fall_with_crf(source, codec):
    low, high = CRF_RANGES[codec]
    fine = Recipe(codec=codec, crf=low, preset=PRESETS[codec][0])
    file, coarse = encode(source, fine), encode(source, replace(fine, crf=high))
    assert encode(source, fine) == file
    assert bits_per_pixel(coarse, source) < bits_per_pixel(file, source)
    errors = []
    for encoded in (file, coarse):
        video = decode(encoded)
        assert video.shape == source.shape
        errors.append(np.abs(video.y.astype(int) - source.y).mean())
    assert errors[0] < 4
    assert errors[0] < errors[1]


@pytest.mark.parametrize("codec", CODECS)
def test_every_preset_and_gop_is_accepted(source, codec):
    for preset in PRESETS[codec]:
        for gop in (8, 250):
            assert encode(source, Recipe(codec=codec, crf=40, preset=preset, gop=gop))


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_recipe_gives_the_same_bytes_for_every_preset(codec):
    source = render("hills", ("bytes", 1), Shape(256, 144, 16))
    for preset in PRESETS[codec]:
        recipe = Recipe(codec=codec, crf=33, preset=preset, gop=16, bframes=1)
        assert len({encode(source, recipe) for _ in range(6)}) == 1, preset


def test_lower_resolution_comes_out_smaller(source):
    file = encode(source, Recipe(codec="h264", crf=25, preset="veryfast", scale=0.5))
    assert decode(file).shape == Shape(64, 56, 10)
    assert scale(decode(file), 2.0).shape == source.shape


def test_no_encoder_leaves_the_process_with_real_time_priority(source):
    encode(source, Recipe(codec="av1", crf=40, preset="12"))
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_refused_setting_says_which(source):
    with pytest.raises(EncodingError, match="preset=slothful"):
        encode(source, Recipe(codec="h264", crf=30, preset="slothful"))
    with pytest.raises(EncodingError, match="did you mean 'hevc'"):
        encode(source, Recipe(codec="hevx", crf=30, preset="fast"))
