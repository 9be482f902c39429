"""Every official checkpoint layout loads, strictly, and says what it gave; other grids are interpolated."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pipeline.models.internvideo2 import InternVideo2, LoadReport, load_checkpoint, variant_config
from pipeline.models.internvideo2.recognition import stored_grid
from tests.pipeline.models.official_layouts import prefixed, random_tensors, small_config, small_tensors, table
from tests.pipeline.models.plain_internvideo2 import linear_resample, resample_positions

TEXT_TOWER = {
    "text_encoder.bert.embeddings.weight": torch.ones(3, 2),
    "text_encoder.encoder.layer.0.weight": torch.ones(2),
    "text_proj.weight": torch.ones(4, 2),
    "itm_head.weight": torch.ones(2, 2),
    "temp": torch.tensor(0.07),
}
VISION_PROJ = {"vision_proj.weight": torch.randn(12, 32), "vision_proj.bias": torch.randn(12)}

LAYOUTS: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
    "finetuned-model": ("ft_1B_k400_f8", "a.pth", lambda t: {"model": t, "epoch": 3}, {"num_classes": 7}),
    "finetuned-module": ("ft_1B_k400_f8", "a.pth", lambda t: {"module": prefixed(t, "module.")}, {"num_classes": 7}),
    "finetuned-flat": ("ft_1B_k400_f8", "a.bin", lambda t: dict(t), {"num_classes": 7}),
    "backbone-prefix": ("ft_1B_k400_f8", "a.pth", lambda t: prefixed(t, "backbone."), {"num_classes": 7}),
    "encoder-prefix": ("ft_1B_k400_f8", "a.pth", lambda t: {"model": prefixed(t, "encoder.")}, {"num_classes": 7}),
    "two-prefixes": ("ft_1B_k400_f8", "a.pth", lambda t: prefixed(t, "module.backbone."), {"num_classes": 7}),
    "stage1-pretrain": ("stage1_pretrain_1B_f8", "pretrain.pth", lambda t: {"module": t}, {}),
    "stage2": (
        "stage2_vision_1B_f4",
        "stage2.pt",
        lambda t: {"module": {**TEXT_TOWER, **VISION_PROJ, **prefixed(t, "vision_encoder.")}, "iteration": 9},
        {"projection": "linear", "projection_dim": 12},
    ),
    "stage2-without-projection": (
        "stage2_vision_1B_f4",
        "stage2.pt",
        lambda t: {"model": {**TEXT_TOWER, **prefixed(t, "module.vision_encoder.")}},
        {},
    ),
    "clip": (
        "clip_vision_1B_f8",
        "1B_clip.pth",
        lambda t: {"module": {**prefixed(t, "vision_encoder."), "text_encoder.text_projection": torch.ones(2)}},
        {},
    ),
    "distilled-S14": ("dist_S14_f8", "pytorch_model.bin", lambda t: {"module": t}, {}),
}


def assert_holds(model: InternVideo2, tensors: Mapping[str, Tensor]) -> None:
    state = model.state_dict()
    for name in model.load_report.loaded:
        assert torch.equal(state[name], tensors[name]), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_official_layouts(layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, file, nest, fields = LAYOUTS[layout]
    tensors = small_tensors(name)
    torch.save(nest(tensors), tmp_path / file)
    model = load_checkpoint(tmp_path / file, small_config(**fields))
    report = model.load_report
    assert_holds(model, {**VISION_PROJ, **tensors})
    assert set(report.loaded) | set(report.missing) == set(model.state_dict())
    assert all(key.startswith("fc_norm.") for key in report.missing)
    assert set(report.unexpected) >= set(tensors) - set(model.state_dict())
    assert "loaded" in capsys.readouterr().err
    assert all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    assert (model(torch.zeros(1, 3, 4, 42, 42)).logits is None) == ("num_classes" not in fields)


def test_safetensors_and_pickle_give_the_same_model(tmp_path: Path) -> None:
    tensors = small_tensors("ft_1B_k400_f8")
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save({"model": tensors}, tmp_path / "a.pth")
    config = small_config(num_classes=7)
    first = load_checkpoint(tmp_path / "a.safetensors", config).state_dict()
    second = load_checkpoint(tmp_path / "a.pth", config).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_files_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in small_tensors("ft_1B_k400_f8").items()}
    torch.save(tensors, tmp_path / "a.pth")
    model = load_checkpoint(tmp_path / "a.pth", small_config(num_classes=7))
    assert_holds(model, {name: tensor.float() for name, tensor in tensors.items()})


def test_mapped_weights_can_be_trained_without_touching_the_file(tmp_path: Path) -> None:
    for name, write in (("a.safetensors", save_file), ("a.pth", torch.save)):
        write(small_tensors("ft_1B_k400_f8"), tmp_path / name)
        before = (tmp_path / name).read_bytes()
        model = load_checkpoint(tmp_path / name, small_config(num_classes=7))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        assert (tmp_path / name).read_bytes() == before


def test_the_report_lists_what_was_and_was_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": small_tensors("stage1_pretrain_1B_f8")}, tmp_path / "a.pth")
    model = load_checkpoint(tmp_path / "a.pth", small_config(num_classes=5))
    report = model.load_report
    assert isinstance(report, LoadReport)
    assert set(report.missing) == {"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"}
    assert {"mae_pos_embed", "clip_pos_embed", "final_clip_decoder.head.bias"} <= set(report.unexpected)
    assert not report.has_trained_head
    printed = capsys.readouterr().err
    assert "missing, at their initial value: fc_norm.weight" in printed
    assert "the head is new" in printed


def test_a_new_head_is_the_same_every_time(tmp_path: Path) -> None:
    torch.save(small_tensors("ft_1B_k400_f8"), tmp_path / "a.pth")
    state = torch.random.get_rng_state()
    heads = [
        load_checkpoint(tmp_path / "a.pth", small_config(num_classes=2), new_head=True).state_dict()["head.weight"]
        for _ in range(2)
    ]
    assert torch.equal(heads[0], heads[1])
    assert heads[0].shape == (2, 32)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_head_that_is_not_wanted_is_left(tmp_path: Path) -> None:
    torch.save(small_tensors("ft_1B_k400_f8"), tmp_path / "a.pth")
    report = load_checkpoint(tmp_path / "a.pth", small_config()).load_report
    assert report.unexpected == ("head.bias", "head.weight")


def test_a_k710_head_becomes_k400_by_its_first_rows(tmp_path: Path) -> None:
    tensors = small_tensors("ft_1B_k400_f8")
    tensors |= {"head.weight": torch.randn(710, 32), "head.bias": torch.randn(710)}
    torch.save({"model": tensors}, tmp_path / "a.pth")
    model = load_checkpoint(tmp_path / "a.pth", small_config(num_classes=400))
    assert torch.equal(model.state_dict()["head.weight"], tensors["head.weight"][:400])
    assert torch.equal(model.state_dict()["head.bias"], tensors["head.bias"][:400])
    whole = load_checkpoint(tmp_path / "a.pth", small_config(num_classes=710))
    assert torch.equal(whole.state_dict()["head.weight"], tensors["head.weight"])


def test_a_partial_clip_file_lies_over_its_base(tmp_path: Path) -> None:
    """The CLIP files of S14, B14 and L14 hold only what was trained after stage 1."""
    base = small_tensors("dist_S14_f8")
    pool = {name: tensor + 1 for name, tensor in base.items() if name.startswith("clip_projector.")}
    align = {
        "vision_align.0.weight": torch.ones(32),
        "vision_align.0.bias": torch.zeros(32),
        "vision_align.1.weight": torch.randn(12, 32),
        "vision_align.1.bias": torch.randn(12),
    }
    torch.save({"module": base}, tmp_path / "base.bin")
    torch.save({"module": {**prefixed(pool, "vision_encoder."), **align, **TEXT_TOWER}}, tmp_path / "clip.bin")
    config = small_config(projection="norm_linear", projection_dim=12)
    model = load_checkpoint(tmp_path / "clip.bin", config, base=tmp_path / "base.bin")
    assert_holds(model, {**base, **pool, **align})
    projected = model(torch.randn(2, 3, 4, 42, 42)).projected
    assert projected is not None
    assert projected.shape == (2, 12)


def test_the_projected_level_is_stage_twos(tmp_path: Path) -> None:
    tensors = small_tensors("stage2_vision_1B_f4")
    torch.save({"module": {**prefixed(tensors, "vision_encoder."), **VISION_PROJ}}, tmp_path / "a.pt")
    model = load_checkpoint(tmp_path / "a.pt", small_config(projection="linear", projection_dim=12))
    output = model(torch.randn(1, 3, 4, 42, 42))
    expected = output.embedding @ VISION_PROJ["vision_proj.weight"].T + VISION_PROJ["vision_proj.bias"]
    torch.testing.assert_close(output.projected, expected)


def positions_file(path: Path, time: int, side: int, **fields: Any) -> tuple[Tensor, Any]:
    """Writes a file whose grid is (time, side) and returns its position embedding and a loader."""
    tensors = dict(small_tensors("ft_1B_k400_f8"))
    tensors["pos_embed"] = torch.randn(1, 1 + time * side * side, 64, generator=torch.Generator().manual_seed(5))
    torch.save({"model": tensors}, path)
    return tensors["pos_embed"], lambda **config: load_checkpoint(path, small_config(num_classes=7, **fields, **config))


@pytest.mark.parametrize(("stored", "wanted"), [(4, 8), (8, 16), (8, 4), (16, 8), (4, 16), (16, 4), (8, 1), (1, 8)])
def test_another_frame_count_is_interpolated(stored: int, wanted: int, tmp_path: Path) -> None:
    pos_embed, load = positions_file(tmp_path / "a.pth", stored, 4)
    model = load(num_frames=wanted, image_size=56)
    expected = resample_positions(pos_embed[0].double().numpy(), (stored, 4), (wanted, 4))
    np.testing.assert_allclose(model.state_dict()["pos_embed"][0].numpy(), expected, atol=1e-5)
    assert any("interpolated" in note for note in model.load_report.adapted)


@pytest.mark.parametrize(
    ("stored", "wanted"), [((8, 3), (8, 4)), ((8, 4), (8, 3)), ((4, 3), (8, 5)), ((8, 5), (4, 3)), ((8, 4), (8, 2))]
)
def test_another_resolution_is_interpolated(stored: tuple[int, int], wanted: tuple[int, int], tmp_path: Path) -> None:
    pos_embed, load = positions_file(tmp_path / "a.pth", *stored)
    model = load(num_frames=wanted[0], image_size=14 * wanted[1])
    expected = resample_positions(pos_embed[0].double().numpy(), stored, wanted)
    np.testing.assert_allclose(model.state_dict()["pos_embed"][0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("tokens", "fields", "grid"),
    [
        (2048, {}, (8, 16, 16)),
        (1024, {}, (4, 16, 16)),
        (4096, {}, (16, 16, 16)),
        (4096, {"num_frames": 4}, (16, 16, 16)),
        (512, {}, (2, 16, 16)),
        (2048, {"image_size": 448}, (8, 16, 16)),
        (2048, {"image_size": 112}, (8, 16, 16)),
        (1024, {"image_size": 196}, (4, 16, 16)),
        (4096, {"image_size": 196}, (16, 16, 16)),
        (2048, {"image_size": 448, "num_frames": 4}, (8, 16, 16)),
        (2048, {"image_size": 112, "num_frames": 16}, (8, 16, 16)),
        (8 * 100, {"image_size": 196}, (8, 10, 10)),
        (8 * 144, {"image_size": 84}, (8, 12, 12)),
        (8 * 32 * 32, {"num_frames": 4}, (32, 16, 16)),
    ],
)
def test_the_stored_grid_is_told_from_the_length(
    tokens: int, fields: dict[str, Any], grid: tuple[int, int, int]
) -> None:
    assert stored_grid(tokens, variant_config("1B", **fields)) == grid


@pytest.mark.parametrize("wanted", [(2, 4), (8, 2), (4, 4), (2, 8)])
def test_the_grid_of_a_file_is_that_of_the_configuration_beside_it(wanted: tuple[int, int], tmp_path: Path) -> None:
    InternVideo2(small_config(num_frames=2, image_size=56)).save_pretrained(tmp_path)
    stored = load_checkpoint(tmp_path).state_dict()["pos_embed"]
    model = load_checkpoint(tmp_path, small_config(num_frames=wanted[0], image_size=14 * wanted[1]))
    expected = resample_positions(stored[0].double().numpy(), (2, 4), wanted)
    np.testing.assert_allclose(model.state_dict()["pos_embed"][0].numpy(), expected, atol=1e-5)


def test_separate_position_embeddings_are_interpolated(tmp_path: Path) -> None:
    tensors = dict(small_tensors("ft_1B_k400_f8"))
    del tensors["pos_embed"]
    spatial, temporal = torch.randn(1, 9, 64), torch.randn(1, 4, 64)
    tensors |= {"pos_embed_spatial": spatial, "pos_embed_temporal": temporal, "pos_embed_cls": torch.randn(1, 1, 64)}
    torch.save(tensors, tmp_path / "a.pth")
    config = small_config(sep_pos_embed=True, num_frames=8, image_size=56, num_classes=7)
    state = load_checkpoint(tmp_path / "a.pth", config).state_dict()
    np.testing.assert_allclose(
        state["pos_embed_temporal"][0].numpy(), linear_resample(temporal[0].double().numpy(), 8), atol=1e-5
    )
    with_cls = np.concatenate([np.zeros((1, 64)), spatial[0].double().numpy()])
    expected = resample_positions(with_cls, (1, 3), (1, 4))[1:]
    np.testing.assert_allclose(state["pos_embed_spatial"][0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("tubelet", [2, 3, 4])
def test_a_tubelet_is_inflated_round_the_centre(tubelet: int, tmp_path: Path) -> None:
    tensors = small_tensors("ft_1B_k400_f8")
    torch.save(tensors, tmp_path / "a.pth")
    config = small_config(tubelet_size=tubelet, num_frames=4 * tubelet, num_classes=7)
    kernel = load_checkpoint(tmp_path / "a.pth", config).state_dict()["patch_embed.proj.weight"]
    stored = tensors["patch_embed.proj.weight"]
    assert torch.equal(kernel[:, :, tubelet // 2], stored[:, :, 0])
    assert torch.equal(kernel.sum(2), stored[:, :, 0])


def test_an_official_width_is_recognised(tmp_path: Path) -> None:
    tensors = {name: tensor.half() for name, tensor in random_tensors(table("ft_S14_k400_f8")).items()}
    torch.save({"model": tensors}, tmp_path / "a.pth")
    model = load_checkpoint(tmp_path / "a.pth")
    assert (model.config.embed_dim, model.config.num_frames, model.config.num_classes) == (384, 8, 400)
    assert_holds(model, {name: tensor.float() for name, tensor in tensors.items()})


def test_a_distilled_file_is_recognised_without_a_head(tmp_path: Path) -> None:
    tensors = {name: tensor.half() for name, tensor in random_tensors(table("dist_S14_f8")).items()}
    torch.save({"module": tensors}, tmp_path / "pytorch_model.bin")
    model = load_checkpoint(tmp_path / "pytorch_model.bin")
    assert model.head is None
    assert model.load_report.missing == ("fc_norm.weight", "fc_norm.bias")


def anonymous_bytes() -> int:
    """Returns the memory of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not tell RssAnon")


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["ft_1B_k400_f16", "stage2_vision_1B_f4"])
def test_the_1b_files_in_full(layout: str, tmp_path: Path) -> None:
    """Four gigabytes on the disk, loaded without a second copy in memory."""
    path = tmp_path / "1B.pth"
    try:
        tensors = {name: torch.empty(shape).uniform_(-0.1, 0.1) for name, shape in table(layout).items()}
        checks = {name: tensor.flatten()[:: max(1, tensor.numel() // 97)].clone() for name, tensor in tensors.items()}
        nested = tensors if layout.startswith("ft") else {**prefixed(tensors, "vision_encoder."), **TEXT_TOWER}
        torch.save({"module": nested}, path)
        del tensors, nested
        before = anonymous_bytes() if sys.platform == "linux" else 0
        model = load_checkpoint(path)
        grown = anonymous_bytes() - before if sys.platform == "linux" else 0
        assert grown < 512 * 2**20
        assert model.config.num_frames == int(layout.rpartition("_f")[2])
        for name in model.load_report.loaded:
            value = model.get_parameter(name).detach().flatten()
            assert torch.equal(value[:: max(1, value.numel() // 97)], checks[name]), name
        assert set(model.load_report.missing) <= {"fc_norm.weight", "fc_norm.bias"}
    finally:
        path.unlink(missing_ok=True)
