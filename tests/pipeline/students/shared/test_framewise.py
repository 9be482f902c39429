"""What the students that look at single frames share: frames in the batch, pooling, tokens, first values."""

import math

import pytest
import torch
from torch import nn

from pipeline.models.stem import StemError, dct_basis
from pipeline.students.shared.framewise import (
    FrameHead,
    SpectralStem,
    Transformer,
    frames_as_batch,
    init_by_fan_in,
    init_dct_of_frames,
    mean_and_deviation,
    sinusoids,
)


def test_frames_lie_side_by_side_in_the_batch():
    pixels = torch.arange(2 * 3 * 5 * 2 * 2, dtype=torch.float32).reshape(2, 3, 5, 2, 2)
    frames, num_frames = frames_as_batch(pixels, 2)
    assert num_frames == 3
    assert frames.shape == (6, 3, 2, 2)
    assert torch.equal(frames[4], pixels[1, :, 2])
    assert frames_as_batch(pixels[:, :, :1], 2)[1] == 1


def test_mean_and_deviation_by_hand():
    maps = torch.tensor([[[[1.0, 3.0], [1.0, 3.0]], [[5.0, 5.0], [5.0, 5.0]]]])
    torch.testing.assert_close(mean_and_deviation(maps), torch.tensor([[2.0, 5.0, 1.0, math.sqrt(1e-5)]]))
    flat = torch.zeros(1, 2, 3, 3, requires_grad=True)
    mean_and_deviation(flat).sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_positions_are_told_apart_and_widths_may_be_odd():
    found = sinusoids(8, 7)
    assert found.shape == (8, 7)
    assert torch.cdist(found, found).fill_diagonal_(1.0).min() > 0.1


@pytest.mark.parametrize("length", [1, 2, 9])
def test_one_transformer_takes_any_number_of_tokens(length):
    torch.manual_seed(0)
    tokens = torch.randn(2, length, 32)
    ordered, unordered = (Transformer(32, 1, 2, positions=positions) for positions in (True, False))
    assert ordered(tokens).shape == tokens.shape
    torch.testing.assert_close(unordered(tokens.flip(1)), unordered(tokens).flip(1))
    if length > 1:
        assert not torch.allclose(ordered(tokens.flip(1)), ordered(tokens).flip(1), atol=1e-4)


def test_the_head_scores_a_clip_by_its_frames():
    head = FrameHead(32, 1)
    score, embedding = head(torch.randn(6, 32), num_frames=3)
    assert score.shape == (2,)
    assert embedding.shape == (2, 32)
    assert score.tolist() == pytest.approx([0.5, 0.5], abs=0.1)


def test_the_spectral_stem_gives_coefficients_and_the_logarithm_of_their_power():
    stem = SpectralStem(4, 8)
    frames = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    spectrum, logarithm = stem(frames).chunk(2, dim=1)
    assert spectrum.shape == (1, 4, 2, 2)
    torch.testing.assert_close(spectrum, stem.conv(frames))
    assert logarithm[0, 1, 0, 1].item() == pytest.approx(0.5 * math.log(spectrum[0, 1, 0, 1].item() ** 2 + 0.01))
    # A grey cosine of one frequency shows in that frequency's channel alone.
    wave = dct_basis(8)[1].float().expand(1, 3, 8, 8)
    response = stem(wave)[0, :4, 0, 0]
    assert (response.abs() > 1e-4).sum() == 1


def test_a_stem_that_is_no_patch_stem_is_refused():
    with pytest.raises(StemError, match="expected 3 RGB channels and stride = kernel"):
        init_dct_of_frames(nn.Conv2d(3, 8, 7, stride=2, padding=3))


def test_first_values_follow_the_number_of_inputs():
    torch.manual_seed(0)
    parts = nn.Sequential(nn.Conv2d(16, 64, 4), nn.Linear(64, 256))
    init_by_fan_in(parts)
    # A normal distribution cut at two deviations has 0.88 of its deviation.
    assert parts[0].weight.std().item() == pytest.approx(0.88 / 16, rel=0.1)
    assert parts[1].weight.std().item() == pytest.approx(0.88 / 8, rel=0.1)
    assert parts[1].bias.abs().max().item() == 0.0
