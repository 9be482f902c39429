"""The fragments student: windows, the gate of its position bias, regression before pooling."""

import numpy as np
import pytest
import torch

from pipeline.core.registry import names
from pipeline.core.settings import SettingsError
from pipeline.students.fragments import FragmentsError, _Windows
from pipeline.students.shared.model import create_student

TINY = {"grid": 2, "widths": [16, 32], "depths": [2, 1], "num_heads": [1, 2]}


def tiny(side=56, **options):
    torch.manual_seed(0)
    return create_student("fragments", TINY | options, target_dim=32, clip_shape=(4, side, side, 3))


@pytest.mark.parametrize("shift", [0, 2])
def test_windows_are_cut_and_joined_again(shift):
    windows = _Windows(num_frames=2, side=8, window=4, fragment=4, shift=shift)
    tokens = torch.arange(3 * 2 * 8 * 8 * 5).reshape(3, 2, 8, 8, 5)
    cut = windows.cut(tokens)
    assert cut.shape == (3, 4, 2 * 4 * 4, 5)
    assert torch.equal(windows.join(cut, 2), tokens)
    if not shift:
        assert torch.equal(cut[:, 1].reshape(3, 2, 4, 4, 5), tokens[:, :, :4, 4:])


def test_a_pair_of_one_fragment_has_another_bias_than_a_pair_across():
    inside = _Windows(num_frames=2, side=8, window=4, fragment=4, shift=0)
    assert inside.entries.shape == (1, 32, 32)
    assert inside.entries.max() < inside.num_offsets == 3 * 7 * 7
    across = _Windows(num_frames=2, side=8, window=4, fragment=4, shift=2)
    entries, offsets = across.entries[0], across.num_offsets
    # Rolled by half a window, the first row of a window holds two tokens of one fragment, then two of the next.
    assert (entries[0, [0, 1, 2, 3]] < offsets).tolist() == [True, True, False, False]
    assert entries[0, 16] % offsets == inside.entries[0][0, 16]
    assert entries[0, 16] < offsets


def test_equal_offsets_share_a_bias_and_others_do_not():
    entries = _Windows(num_frames=2, side=4, window=4, fragment=4, shift=0).entries[0]
    assert len(np.unique(entries)) == 3 * 7 * 7
    assert entries[0, 1] == entries[1, 2] == entries[17, 18]
    assert entries[0, 1] != entries[1, 0]


def test_windows_that_lie_differently_on_fragments_keep_their_own_gates():
    assert len(_Windows(num_frames=1, side=12, window=4, fragment=6, shift=0).entries) == 9


def test_the_score_is_the_mean_of_the_tokens_scores():
    network = tiny().network
    with torch.no_grad():
        torch.nn.init.normal_(network.head.weight)
        output = network(torch.randn(2, 3, 4, 56, 56))
        by_token = network.head(output.tokens).squeeze(-1)
    assert output.tokens.shape == (2, 2, 4, 4, 64)
    torch.testing.assert_close(output.score, by_token.mean((1, 2, 3)))


def test_it_takes_the_fewest_operations_of_the_default_sizes():
    flops = {
        name: create_student(name, {}, target_dim=128, clip_shape=(8, 112, 112, 3)).flops()
        for name in names("students")
    }
    assert min(flops, key=flops.__getitem__) == "fragments"


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(SettingsError, match="must have one number for each stage"):
        tiny(depths=[1])
    with pytest.raises(SettingsError, match=r"widths \[16, 32\] must be multiples of num_heads \[3, 2\]"):
        tiny(num_heads=[3, 2])
    with pytest.raises(FragmentsError, match="got clips of 60 x 60 px; .* it takes squares of a multiple of 28 px"):
        tiny(side=60, patch_size=7)
    with pytest.raises(FragmentsError, match=r"stage 1 has 8 x 8 tokens, which windows of 3 do not divide"):
        tiny(window=3)
