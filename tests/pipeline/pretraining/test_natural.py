from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.pretraining import examples, natural
from pipeline.pretraining.evaluation import Ladders
from pipeline.pretraining.examples import CLIP_TARGETS, ENCODES, TRAINING
from pipeline.pretraining.material import clips, joined, photographs
from pipeline.pretraining.natural import NaturalVariety, make_groups, original
from pipeline.pretraining.natural_evaluation import STEPS, by_ladder, natural_ladders, report, spread
from pipeline.pretraining.objectives import Predictions, losses
from pipeline.synthesis.encoding import CODECS, Recipe, encode
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("natural")
    (folder / "photos").mkdir()
    (folder / "clips").mkdir()
    rng = np.random.default_rng(1)
    for number in range(3):
        noise = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        noise.resize((400, 300)).save(folder / "photos" / f"{number}.jpg")
    clip = encode(render("leaves", ("n", 1), Shape(256, 256, 16)), Recipe(codec="h264", crf=40, preset="ultrafast"))
    (folder / "clips" / "a.mp4").write_bytes(clip)
    return joined(*photographs(folder / "photos"), *clips(folder / "clips", folder / "store")[:2])


@pytest.fixture
def small(monkeypatch):
    """Short originals of few lines."""
    monkeypatch.setattr(natural, "_shape", lambda rng: Shape(128, 112, int(rng.integers(8, 12))))
    monkeypatch.setattr(natural, "_length", lambda rng: int(rng.integers(8, 12)))


def _variety(material, **changed):
    return NaturalVariety(**{**vars(TRAINING), "name": "test", "views": 1, "material": material, **changed})


def test_natural_examples_are_a_function_of_their_index(material, small):
    variety = _variety(material, natural=1.0)
    (first,), (again,) = make_groups(variety, 3), make_groups(variety, 3)
    assert all(np.array_equal(getattr(first, name), getattr(again, name), equal_nan=True) for name in vars(first))
    assert first.clips.shape[0] == ENCODES
    assert np.isfinite(first.dense.astype(np.float32)).all()


def test_originals_are_of_photographs_and_of_clips(material, small):
    of_clips = original(np.random.default_rng(1), _variety(replace(material, photographs=(), sizes=())))
    of_photographs = original(np.random.default_rng(1), _variety(replace(material, clips=())))
    assert of_photographs.shape.width == 128
    assert min(of_clips.shape.width, of_clips.shape.height) >= 112
    assert of_clips.y.std() > 1


def test_the_share_of_natural_contents_is_kept_and_without_material_all_are_generated(material, monkeypatch):
    class Made(Exception):
        pass

    def stop(*_):
        raise Made

    monkeypatch.setattr(natural, "original", stop)
    monkeypatch.setattr(examples, "make_groups", lambda *_: [])
    natural_contents = 0
    for index in range(200):
        try:
            assert make_groups(_variety(material, natural=0.7), index) == []
        except Made:
            natural_contents += 1
    assert 120 < natural_contents < 160
    assert make_groups(TRAINING, 0) == []


def test_an_encode_to_a_bit_rate_has_no_crf_and_the_loss_leaves_it_out(material, small, monkeypatch):
    monkeypatch.setattr(natural, "_TO_RATE", 1.0)
    (group,) = make_groups(_variety(material, natural=1.0), 3)
    missing = np.isnan(group.targets)
    assert missing[:, CLIP_TARGETS.index("crf")].all()
    assert missing.sum() == ENCODES
    targets = torch.from_numpy(group.targets)
    clip = torch.where(targets.isnan(), 7.0, targets.clamp(-2.5, 2.5))
    zeros = torch.zeros(ENCODES, 4, 4)
    found = Predictions(
        zeros, targets[:, 0], targets[:, 0], clip, torch.zeros(ENCODES, 4), torch.zeros(1), torch.zeros(1)
    )
    codecs = torch.zeros(ENCODES, dtype=torch.int64)
    terms = losses(found, zeros, targets, codecs, (torch.zeros(1), torch.zeros(1)), 1)
    assert all(torch.isfinite(term) for term in terms.values())
    assert float(terms["clip"]) == 0


def test_ladders_have_every_codec_and_encodes_with_views_of_their_own(material, monkeypatch):
    monkeypatch.setattr("pipeline.pretraining.natural_evaluation._SHAPES", (Shape(128, 112, 8),))
    monkeypatch.setattr("pipeline.pretraining.natural_evaluation._CLIP_FRAMES", 8)
    monkeypatch.setattr("pipeline.pretraining.natural_evaluation.LocalWorkers", _Here)
    ladders = natural_ladders(material, 1, workers=1)
    contents = ["photographs 0", "clip a.mp4 0", "clip a.mp4 1"]
    assert list(dict.fromkeys(ladders.content)) == contents
    assert len(ladders.quality) == len(contents) * len(CODECS) * STEPS
    assert min(by_ladder(-ladders.crf, ladders).values()) > 0.85
    # The first encodes of two ladders are nearly transparent: what differs is where they are looked at.
    first, second = ladders.clips[0, 0].astype(float), ladders.clips[STEPS, 0].astype(float)
    assert np.abs(first - second).mean() > 5
    text = "\n".join(report("title", (ladders.quality - 16) / 5, ladders))
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
