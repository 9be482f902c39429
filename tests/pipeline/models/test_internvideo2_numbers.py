"""InternVideo2 computes the official numbers: the golden, the key tables, a plain reference on many configurations."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline.models.internvideo2 import (
    VARIANTS,
    ConfigError,
    InternVideo2,
    InternVideo2Config,
    count_flops,
    distillation_layers,
    variant_config,
)
from pipeline.models.internvideo2.positions import sincos_3d
from tests.pipeline.models.official_layouts import GOLDEN, small_config, table
from tests.pipeline.models.plain_internvideo2 import Shape, plain_forward

TOLERANCE = 1e-5


def relative_error(got: Tensor, expected: Any) -> float:
    reference = np.asarray(expected, dtype=np.float64)
    return float(np.abs(got.detach().double().numpy() - reference).max() / np.abs(reference).max())


def streams(model: InternVideo2, pixels: Tensor) -> tuple[list[Tensor], Any]:
    """Returns what enters the first block and what leaves each, and the output."""
    seen: list[Tensor] = []
    handles = [model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))]
    handles += [block.register_forward_hook(lambda _, __, output: seen.append(output)) for block in model.blocks]
    with torch.no_grad():
        output = model(pixels)
    for handle in handles:
        handle.remove()
    return seen, output


def randomise(model: InternVideo2, seed: int) -> None:
    """Gives every parameter a size at which it matters to the output."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:
                parameter.copy_(1 + 0.3 * noise)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else noise)


def test_golden_at_every_block() -> None:
    golden = load_file(GOLDEN / "internvideo2_tiny.safetensors")
    model = InternVideo2(small_config(num_classes=7, hidden_act="gelu")).eval()
    model.load_state_dict({name[3:]: value for name, value in golden.items() if name.startswith("sd.")})
    seen, output = streams(model, golden["in.x"])
    patches = model.patch_embed(golden["in.x"])
    pairs = {
        "patch_embed": patches,
        "block_in": seen[0],
        "block.0": seen[1],
        "block.1": seen[2],
        "pre_pool": output.tokens,
        "pooled": output.embedding,
        "fc_norm": output.embedding_normed,
        "logits": output.logits,
    }
    assert {f"out.{name}" for name in pairs} == {name for name in golden if name.startswith("out.")}
    for name, got in pairs.items():
        assert relative_error(got, golden[f"out.{name}"]) <= TOLERANCE, name


@pytest.mark.parametrize(
    ("name", "variant", "num_frames"),
    [
        ("ft_S14_k400_f8", "S14", 8),
        ("ft_B14_k400_f8", "B14", 8),
        ("ft_L14_k400_f8", "L14", 8),
        ("ft_1B_k400_f8", "1B", 8),
        ("ft_1B_k400_f16", "1B", 16),
        ("ft_6B_k400_f8", "6B", 8),
    ],
)
def test_keys_and_shapes_are_the_official_ones(name: str, variant: str, num_frames: int) -> None:
    with torch.device("meta"):
        model = InternVideo2(variant_config(variant, num_frames=num_frames, num_classes=400))
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == table(name)


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [("S14", 23_352_976), ("B14", 89_748_112), ("L14", 309_238_416), ("1B", 1_021_017_744), ("6B", 5_942_044_304)],
)
def test_parameter_counts(variant: str, parameters: int) -> None:
    with torch.device("meta"):
        model = InternVideo2(variant_config(variant, num_classes=400))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


GRID: list[dict[str, Any]] = [
    {},
    {"hidden_act": "gelu"},
    {"sep_pos_embed": True},
    {"qkv_bias": True},
    {"qk_norm": False},
    {"layerscale_init": 0.0},
    {"layerscale_init": 0.1, "qkv_bias": True, "qk_norm": False},
    {"tubelet_size": 2},
    {"tubelet_size": 4, "sep_pos_embed": True},
    {"patch_size": 16, "image_size": 48},
    {"patch_size": 7, "image_size": 28, "num_frames": 2},
    {"patch_size": 16, "image_size": 50, "num_frames": 5, "tubelet_size": 2},
    {"pool_num_heads": 1, "pool_dim": 48},
    {"pool_num_heads": 16, "pool_dim": 8},
    {"embed_dim": 96, "num_heads": 3, "depth": 3, "mlp_ratio": 2.5, "pool_num_heads": 6},
    {"embed_dim": 48, "num_heads": 1, "depth": 1, "mlp_ratio": 4},
    {"embed_dim": 32, "num_heads": 8, "depth": 4, "sep_pos_embed": True, "qkv_bias": True, "hidden_act": "gelu"},
    {"num_frames": 1, "image_size": 70},
    {"num_frames": 8, "image_size": 14},
    {"layerscale_init": 0.0, "qk_norm": False, "qkv_bias": True, "hidden_act": "gelu", "sep_pos_embed": True},
]


@pytest.mark.parametrize("overrides", GRID, ids=lambda fields: "-".join(map(str, fields)) or "default")
def test_matches_the_plain_reference(overrides: dict[str, Any]) -> None:
    config = small_config(num_classes=5, **overrides)
    model = InternVideo2(config).eval()
    randomise(model, seed=3)
    size = (2, 3, config.num_frames, config.image_size, config.image_size)
    pixels = torch.randn(size, generator=torch.Generator().manual_seed(4))
    shape = Shape(
        depth=config.depth,
        num_heads=config.num_heads,
        pool_num_heads=config.pool_num_heads,
        patch_size=config.patch_size,
        tubelet_size=config.tubelet_size,
        tanh_gelu=config.hidden_act == "gelu_tanh",
        time=config.grid[0],
        side=config.grid[1],
    )
    expected = plain_forward(pixels.numpy(), {k: v.numpy() for k, v in model.state_dict().items()}, shape)
    seen, output = streams(model, pixels)
    got = {"block_in": seen[0], **{f"block.{i}": tokens for i, tokens in enumerate(seen[1:])}}
    got |= {name: output[name] for name in ("embedding", "embedding_normed", "logits")}
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        assert relative_error(tensor, expected[name]) <= TOLERANCE, name


def test_options_change_which_parameters_there_are() -> None:
    def keys(**overrides: Any) -> set[str]:
        return set(InternVideo2(small_config(**overrides)).state_dict())

    plain = keys()
    assert plain - keys(layerscale_init=0.0) == {f"blocks.{i}.ls{j}.gamma" for i in (0, 1) for j in (1, 2)}
    assert {key.split(".", 2)[2] for key in plain - keys(qk_norm=False)} == {"attn.q_norm.weight", "attn.k_norm.weight"}
    assert {key.split(".", 2)[2] for key in keys(qkv_bias=True) - plain} == {"attn.qkv.bias"}
    assert keys(sep_pos_embed=True) ^ plain == {
        "pos_embed",
        "pos_embed_cls",
        "pos_embed_spatial",
        "pos_embed_temporal",
    }
    assert keys(num_classes=3) - plain == {"head.weight", "head.bias"}


def test_the_two_gelus_differ_measurably() -> None:
    """A faithful teacher needs the form it was trained with."""
    pixels = torch.randn(1, 3, 4, 42, 42, generator=torch.Generator().manual_seed(0))
    outputs = []
    for act in ("gelu", "gelu_tanh"):
        model = InternVideo2(small_config(hidden_act=act)).eval()
        randomise(model, seed=1)
        with torch.no_grad():
            outputs.append(model(pixels).embedding)
    assert relative_error(outputs[0], outputs[1]) > TOLERANCE


def test_sincos_layout() -> None:
    """A quarter for time, then the column, then the row; each as sines before cosines; the cls row is zero."""
    code = sincos_3d((2, 3, 3), 32)
    assert code.shape == (19, 32)
    assert not code[0].any()
    token = code[1 + 1 * 9 + 2 * 3 + 1]  # frame 1, row 2, column 1
    omega_time = 10000.0 ** (-np.arange(4) / 4)
    omega_space = 10000.0 ** (-np.arange(6) / 6)
    expected = [np.sin(omega_time), np.cos(omega_time)]
    expected += [np.sin(omega_space), np.cos(omega_space), np.sin(2 * omega_space), np.cos(2 * omega_space)]
    np.testing.assert_allclose(token.numpy(), np.concatenate(expected), atol=1e-12)


def test_the_initial_values_are_the_official_ones() -> None:
    torch.manual_seed(0)
    model = InternVideo2(small_config(depth=3, num_classes=50))
    state = model.state_dict()
    np.testing.assert_allclose(state["pos_embed"][0].numpy(), sincos_3d((4, 3, 3), 64).numpy(), atol=1e-6)
    assert state["blocks.0.attn.qkv.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    for index in range(3):
        for name in ("attn.proj", "mlp.fc2"):
            spread = state[f"blocks.{index}.{name}.weight"].std().item()
            assert spread == pytest.approx(0.02 / (2 * (index + 1)) ** 0.5, rel=0.1)
    assert state["head.weight"].std().item() == pytest.approx(2e-5, rel=0.1)
    assert torch.equal(state["blocks.1.ls2.gamma"], torch.full((64,), 1e-5))
    assert not state["clip_projector.cross_attn.k_bias"].any()


@pytest.mark.parametrize(
    ("variant", "teraflops"),
    [
        ("S14", (0.064, 0.167, 0.488)),
        ("B14", (0.216, 0.510, 1.328)),
        ("L14", (0.728, 1.661, 4.147)),
        ("1B", (2.315, 5.101, 12.091)),
        ("6B", (12.78, 26.84, 58.83)),
    ],
)
def test_flops_agree_with_the_table(variant: str, teraflops: tuple[float, float, float]) -> None:
    for num_frames, expected in zip((4, 8, 16), teraflops, strict=True):
        counted = count_flops(variant_config(variant, num_frames=num_frames, num_classes=400)) / 1e12
        assert counted == pytest.approx(expected, rel=0.01)


def test_flops_are_the_same_on_the_cpu() -> None:
    """torch does not count the CPU's fused attention by itself."""
    config = small_config(num_classes=7)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        InternVideo2(config)(torch.zeros(1, 3, 4, 42, 42))
    assert counter.get_total_flops() == count_flops(config)


def test_distillation_layers() -> None:
    assert distillation_layers(40, 6, 3.34) == [23, 26, 29, 33, 36, 39]
    assert distillation_layers(12, 6, 1) == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_heads": 5}, r"embed_dim=64 is not a multiple of num_heads=5"),
        ({"pool_num_heads": 7}, r"not a multiple of pool_num_heads=7"),
        ({"embed_dim": 72, "num_heads": 8}, r"embed_dim=72 is not a multiple of 16"),
        ({"hidden_act": "relu"}, r"hidden_act: got 'relu', expected"),
        ({"depth": 0}, r"depth: got 0"),
        ({"image_size": 13}, r"holds no tubelet"),
        ({"num_frames": 1, "tubelet_size": 2}, r"holds no tubelet"),
        ({"projection": "linear"}, r"does not go with projection_dim=0"),
        ({"projection": "both"}, r"projection: got 'both'"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate: got 1.0"),
        ({"layerscale_init": -1.0}, r"layerscale_init: got -1.0, expected a finite number of at least 0"),
        ({"num_classes": "7"}, r"num_classes: got '7', expected an integer of at least 0"),
        ({"num_classes": True}, r"num_classes: got True"),
        ({"mlp_ratio": 0.001}, r"leaves the MLP no hidden channel"),
    ],
)
def test_refused_configurations(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small_config(**fields)


def test_variants_by_name() -> None:
    assert set(VARIANTS) == {"S14", "B14", "L14", "1B", "6B"}
    assert variant_config("1B").mlp_dim == 6144
    assert isinstance(variant_config("S14"), InternVideo2Config)
    with pytest.raises(ConfigError, match=r"unknown variant 'S15'.*did you mean 'S14'"):
        variant_config("S15")
