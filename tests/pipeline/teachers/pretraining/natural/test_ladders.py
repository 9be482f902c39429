import numpy as np
import pytest

from pipeline.synthesis.encoding import CODECS
from pipeline.synthesis.planes import Shape
from pipeline.teachers.pretraining.evaluation import Ladders
from pipeline.teachers.pretraining.natural.ladders import STEPS, by_ladder, natural_ladders, report, spread


def test_ladders_have_every_codec_and_encodes_with_views_of_their_own(material, monkeypatch):
    monkeypatch.setattr("pipeline.teachers.pretraining.natural.ladders._SHAPES", (Shape(128, 112, 8),))
    monkeypatch.setattr("pipeline.teachers.pretraining.natural.ladders._CLIP_FRAMES", 8)
    monkeypatch.setattr("pipeline.teachers.pretraining.natural.ladders.LocalWorkers", _Here)
    ladders = natural_ladders(material, 1, workers=1)
    contents = ["photographs 0", "clip a.mp4 0", "clip a.mp4 1"]
    assert list(dict.fromkeys(ladders.content)) == contents
    assert len(ladders.quality) == len(contents) * len(CODECS) * STEPS
    assert min(by_ladder(-ladders.crf, ladders).values()) > 0.85
    # The first encodes of two ladders are nearly transparent: what differs is where they are looked at.
    first, second = ladders.clips[0, 0].astype(float), ladders.clips[STEPS, 0].astype(float)
    assert np.abs(first - second).mean() > 5
    perfect = (ladders.quality - 16) / 5
    text = "\n".join(report("title", perfect, ladders, {"the other way": -perfect}))
    assert "the other way          -1.000  -1.000" in text
    assert "all                       1.000   1.000     1.00    1.00" in text
    assert "bias per content +0.00 dB, deviation 0.00" in text


def test_spread_and_order_by_hand():
    ladders = Ladders(
        clips=np.zeros((8, 1), np.uint8),
        quality=np.array([10.0, 12, 14, 16, 20, 22, 24, 26]),
        crf=np.zeros(8),
        bits=np.zeros(8),
        content=np.array(["a"] * 4 + ["b"] * 4),
        ladder=np.array(["a x"] * 4 + ["b x"] * 4),
        codec=np.zeros(8, np.int64),
    )
    values = np.array([1.0, 2, 3, 4, 4, 3, 2, 1])
    assert by_ladder(values, ladders) == {"a x": pytest.approx(1.0), "b x": pytest.approx(-1.0)}
    assert spread(values, ladders) == pytest.approx(0.5)
    assert by_ladder(np.ones(8), ladders) == {"a x": 0.0, "b x": 0.0}


class _Here:
    """Works in this process, as ``LocalWorkers`` does in others."""

    def __init__(self, *_):
        pass

    def map(self, function, tasks):
        for index, task in enumerate(tasks):
            yield index, function(task)
