from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.synthesis.planes import Shape
from pipeline.teachers.pretraining import examples
from pipeline.teachers.pretraining.examples import CLIP_TARGETS, ENCODES, TRAINING
from pipeline.teachers.pretraining.natural import examples as natural
from pipeline.teachers.pretraining.natural.examples import NaturalVariety, make_groups, original
from pipeline.teachers.pretraining.objectives import Predictions, losses


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


def test_the_share_of_natural_contents_holds_and_without_material_all_are_generated(material, monkeypatch):
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
