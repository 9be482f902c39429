"""The DCT stem: orthogonal filters, from low to high frequency, of about unit response."""

import pytest
import torch
from torch import nn

from pipeline.models.stem import StemError, dct_basis, init_dct


@pytest.mark.parametrize("length", [1, 2, 14, 16])
def test_the_basis_is_orthonormal(length: int) -> None:
    basis = dct_basis(length)
    torch.testing.assert_close(basis @ basis.T, torch.eye(length, dtype=torch.float64))


def test_luma_filters_are_orthogonal_and_start_with_the_mean() -> None:
    conv = nn.Conv3d(3, 192, (2, 14, 14), (2, 14, 14))
    init_dct(conv)
    filters = conv.weight.detach().double()
    first = filters[0, 1]
    assert torch.allclose(first, first.mean().expand_as(first))
    assert first.mean() > 0
    is_luma = filters.sum(1).flatten(1).norm(dim=1) > 1e-3  # the three weights of a chroma filter cancel
    assert 100 < is_luma.sum() < 192
    cubes = torch.nn.functional.normalize(filters[is_luma, 1].flatten(1), dim=1)
    gram = cubes @ cubes.T
    torch.testing.assert_close(gram, torch.eye(len(cubes), dtype=torch.float64), rtol=0, atol=1e-5)
    assert not conv.bias.any()


def test_constant_grey_gives_only_the_first_output() -> None:
    conv = nn.Conv3d(3, 64, (1, 8, 8), (1, 8, 8))
    init_dct(conv)
    output = conv(torch.ones(1, 3, 1, 8, 8)).flatten()
    assert output[0] > 0.5
    assert output[1:].abs().max() < 1e-4


def test_natural_amplitudes_come_out_near_one() -> None:
    """A random walk has the falling spectrum of natural pixels."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(64, 1, 1, 14, 14, generator=generator)
    walk = (noise.cumsum(-1) + noise.cumsum(-2)) / 6
    conv = nn.Conv3d(3, 48, (1, 14, 14), (1, 14, 14))
    init_dct(conv)
    with torch.no_grad():
        spread = conv(walk.expand(-1, 3, -1, -1, -1)).flatten(1).std(0)
    luma = spread[spread > 1e-3]
    assert len(luma) > 30
    assert 0.2 < luma.median() < 5


def test_channels_beyond_the_frequencies_keep_their_values() -> None:
    conv = nn.Conv3d(3, 16, (1, 2, 2), (1, 2, 2))
    before = conv.weight.detach().clone()
    init_dct(conv)
    assert torch.equal(conv.weight[12:], before[12:])
    assert not torch.equal(conv.weight[:12], before[:12])


@pytest.mark.parametrize(
    "conv", [nn.Conv3d(1, 8, (2, 4, 4), (2, 4, 4)), nn.Conv3d(3, 8, (2, 4, 4), (1, 2, 2))], ids=["grey", "overlapping"]
)
def test_other_convolutions_are_refused(conv: nn.Conv3d) -> None:
    with pytest.raises(StemError, match="expected 3 RGB channels and stride = kernel"):
        init_dct(conv)


def test_a_spread_stem_looks_at_frequencies_of_the_whole_range():
    def reach(frequencies):
        conv = nn.Conv3d(3, 48, (2, 14, 14), stride=(2, 14, 14))
        init_dct(conv, frequencies=frequencies)
        luma = conv.weight.detach().sum(dim=1).double()
        basis = dct_basis(14)
        spectra = (basis @ luma.sum(dim=1) @ basis.T).abs()
        strongest = spectra.flatten(1).argmax(dim=1)
        return torch.hypot((strongest // 14).double(), (strongest % 14).double()), conv.weight

    lowest, _ = reach("lowest")
    spread, weight = reach("spread")
    assert lowest.max() < 8
    assert spread.max() > 15
    assert len({tuple(row.tolist()) for row in weight.detach().flatten(1).round(decimals=6)}) == 48
