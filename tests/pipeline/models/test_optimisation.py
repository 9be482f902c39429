"""Groups, schedule, averages and repeatability of training."""

import pytest
import torch
from torch import nn

from pipeline.models.device import DeviceError, reproducible, resolve_device
from pipeline.models.optimisation import (
    LayerDecayError,
    WeightAverage,
    best_epoch,
    cosine_with_warmup,
    depths_by_name,
    parameter_groups,
    set_learning_rate,
)


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
def test_depth_is_told_by_the_names_that_transformers_gives(names):
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


def test_an_undefined_correlation_is_never_the_best():
    nan = float("nan")
    rows = [(nan, 0.3), (0.1, 0.2), (0.2, 0.5), (nan, 0.1)]
    history = [{"val_srcc": found, "val_loss": loss} for found, loss in rows]
    assert best_epoch(history) == 3
    assert best_epoch([history[0], history[3], history[0]]) == 2


def test_of_epochs_that_are_as_good_as_the_best_the_last_is_taken_with_a_tolerance():
    history = [{"val_srcc": value, "val_loss": 0.0} for value in (0.80, 0.90, 0.85, 0.89, 0.87)]
    assert [best_epoch(history, tolerance) for tolerance in (0.0, 0.0125, 0.04)] == [2, 4, 5]
    assert [best_epoch(history[:seen], 0.0125) for seen in range(1, 6)] == [1, 2, 2, 4, 4]
    nan = float("nan")
    assert best_epoch([{"val_srcc": nan, "val_loss": loss} for loss in (0.3, 0.1, 0.2)], 0.01) == 2


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
    optimiser = torch.optim.AdamW(groups)
    set_learning_rate(optimiser, 0.5)
    assert {group["lr"] for group in optimiser.param_groups} == {0.5, 0.125, 0.0625}


def test_schedule_rises_then_falls_to_zero():
    factors = [cosine_with_warmup(step, total=100, warmup=10) for step in range(101)]
    assert factors[:10] == sorted(factors[:10])
    assert factors[9] < 1.0
    assert factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)


def test_weight_average_by_hand_and_through_its_state():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = WeightAverage(model, 0.9)
    model.weight.data.fill_(1.0)
    average.update(model)
    assert average.weights["weight"].item() == pytest.approx(0.9)
    other = WeightAverage(model, 0.9)
    other.load_state_dict(average.state_dict())
    average.update(model)
    other.update(model)
    assert torch.equal(other.weights["weight"], average.weights["weight"])
    assert average.weights["weight"].item() == pytest.approx(1 - 0.1 * 2 / 11)


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
