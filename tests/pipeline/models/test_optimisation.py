"""Groups of parameters, devices and repeatability."""

import pytest
import torch
from torch import nn

from pipeline.models.device import DeviceError, reproducible, resolve_device
from pipeline.models.optimisation import LayerDecayError, depths_by_name, parameter_groups


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, 2, 3))
        self.patch_embed = nn.Linear(3, 3)
        self.blocks = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.head = nn.Linear(3, 1)


def test_depth_counts_from_the_top():
    depth_of = depths_by_name(Model())
    names = ("head.weight", "blocks.1.weight", "blocks.0.bias", "patch_embed.weight", "pos_embed")
    assert [depth_of(name) for name in names] == [0, 1, 2, 3, 3]


@pytest.mark.parametrize("names", [("embeddings.a", "encoder.layer.0.a", "encoder.layer.1.a", "norm.a")])
def test_depth_follows_from_the_names_that_transformers_gives(names):
    class Named(nn.Module):
        def named_parameters(self, *args, **kwargs):
            return [(name, nn.Parameter(torch.zeros(1))) for name in names]

    depth_of = depths_by_name(Named())
    assert [depth_of(name) for name in names] == [3, 2, 1, 0]


def test_rates_that_cannot_fall_with_depth_are_refused():
    model = nn.Linear(3, 3)
    settings = {"learning_rate": 1.0, "weight_decay": 0.0, "depth_of": depths_by_name(model)}
    assert len(parameter_groups(model, layer_decay=1.0, **settings)) == 2
    with pytest.raises(LayerDecayError, match="layer_decay: got 0.5, and no name"):
        parameter_groups(model, layer_decay=0.5, **settings)


def test_every_trainable_parameter_is_in_one_group_with_its_own_rate():
    model = Model()
    model.blocks[1].requires_grad_(False)
    depth_of = depths_by_name(model)
    groups = parameter_groups(model, learning_rate=1.0, weight_decay=0.1, layer_decay=0.5, depth_of=depth_of)
    placed = {id(parameter): group for group in groups for parameter in group["params"]}
    assert len(placed) == sum(parameter.requires_grad for parameter in model.parameters())
    assert placed[id(model.head.weight)]["lr"] == 1.0
    assert placed[id(model.blocks[0].weight)]["lr"] == 0.25
    assert placed[id(model.patch_embed.weight)]["lr"] == 0.125
    assert placed[id(model.blocks[0].weight)]["weight_decay"] == 0.1
    assert placed[id(model.head.bias)]["weight_decay"] == placed[id(model.pos_embed)]["weight_decay"] == 0.0


def test_reproducible_repeats_and_puts_back_what_it_found():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    draws = []
    for _ in range(2):
        with reproducible(seed=3, threads=1):
            assert torch.are_deterministic_algorithms_enabled()
            assert torch.get_num_threads() == 1
            draws.append(torch.rand(4))
    assert torch.equal(*draws)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_devices_that_are_not_there_are_refused():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(DeviceError, match="expected auto, cpu, cuda or cuda:1"):
        resolve_device("gpu")
    with pytest.raises(DeviceError, match="this machine has"):
        resolve_device("cuda:77")


def test_new_tensors_are_not_filled_where_kernels_are_deterministic() -> None:
    before = torch.utils.deterministic.fill_uninitialized_memory
    with reproducible(seed=1, threads=1):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert torch.utils.deterministic.fill_uninitialized_memory == before
