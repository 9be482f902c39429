"""How the model runs: chosen layers, precision, memory, frozen trunks, compilation, transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModel, PreTrainedModel

from pipeline.models.internvideo2 import (
    ClipShapeError,
    InternVideo2,
    InternVideo2Config,
    compile_blocks,
    infer,
    load_checkpoint,
    variant_config,
)
from tests.pipeline.models.official_layouts import small_config, table


def build(seed: int = 0, **overrides: Any) -> InternVideo2:
    torch.manual_seed(seed)
    model = InternVideo2(small_config(**{"num_classes": 3, "layerscale_init": 0.5, "depth": 4, **overrides}))
    with torch.no_grad():
        for block in model.blocks:
            block.attn.qkv.weight.mul_(10)
    return model.eval()


def clip(batch: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(batch, 3, 4, 42, 42, generator=torch.Generator().manual_seed(seed))


def test_layers_are_the_mean_tokens_of_the_chosen_blocks_in_the_order_asked() -> None:
    model, seen = build(), []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, output: seen.append(output))
    layers = model(clip(), layers=[3, 0, 2]).layers
    assert layers.shape == (2, 3, 64)
    for place, index in enumerate([3, 0, 2]):
        torch.testing.assert_close(layers[:, place], seen[index].mean(1))
    assert model(clip()).layers is None


@pytest.mark.parametrize("layers", [[4], [-1], [0, 9]])
def test_layers_that_do_not_exist(layers: list[int]) -> None:
    with pytest.raises(ClipShapeError, match=r"layers: got .*expected block indices in 0 \.\. 3"):
        build()(clip(), layers=layers)


@pytest.mark.parametrize(
    "shape", [(2, 3, 8, 42, 42), (2, 3, 4, 56, 56), (2, 4, 3, 42, 42), (3, 4, 42, 42), (2, 1, 4, 42, 42)]
)
def test_clips_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ClipShapeError, match=r"pixels: got shape .*expected \(b, 3, 4, 42, 42\) as b c t h w"):
        build()(torch.zeros(shape))


def test_a_row_does_not_depend_on_its_batch_mates() -> None:
    model = build()
    together, alone = infer(model, clip(5)), infer(model, clip(5)[3:4])
    for name in ("tokens", "embedding", "embedding_normed", "logits"):
        torch.testing.assert_close(together[name][3:4], alone[name], rtol=1e-5, atol=1e-5)


class LargestTensor(TorchDispatchMode):
    """Watches every tensor that an operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for made in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(made, Tensor):
                self.numel = max(self.numel, made.numel())
        return result


@pytest.mark.parametrize("training", [False, True])
def test_no_attention_matrix_is_made(training: bool) -> None:
    model = build(num_frames=4, image_size=280, embed_dim=32, num_heads=8, depth=1)
    num_tokens = 1 + model.config.num_patches
    with LargestTensor() as largest, torch.set_grad_enabled(training):
        embedding = model(torch.zeros(1, 3, 4, 280, 280)).embedding
        if training:
            embedding.sum().backward()
    assert largest.numel < num_tokens * num_tokens / 2


def test_infer_keeps_no_graph() -> None:
    output = infer(build(), clip(), layers=[1])
    assert all(not tensor.requires_grad for tensor in output.values())
    assert set(output) == {"tokens", "embedding", "embedding_normed", "logits", "layers"}


def test_bfloat16_keeps_the_stream_and_the_statistics_in_float32() -> None:
    model, seen = build(), {}
    model.blocks[1].register_forward_hook(lambda _, __, output: seen.update(stream=output.dtype))
    model.blocks[1].attn.qkv.register_forward_hook(lambda _, __, output: seen.update(qkv=output.dtype))
    model.blocks[1].norm1.register_forward_hook(lambda _, __, output: seen.update(norm=output.dtype))
    low, full = infer(model, clip(), precision="bfloat16"), None
    assert seen == {"stream": torch.float32, "qkv": torch.bfloat16, "norm": torch.float32}
    full = infer(model, clip())
    assert low.embedding.dtype == torch.float32
    difference = (low.embedding - full.embedding).abs().max() / full.embedding.abs().max()
    assert 0 < difference < 0.03


def gradients(model: InternVideo2) -> dict[str, Tensor]:
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def test_activation_checkpointing_changes_no_gradient() -> None:
    plain, checkpointed = build().train(), build().train()
    checkpointed.checkpoint_activations()
    for model in (plain, checkpointed):
        model(clip()).logits.square().sum().backward()
    first, second = gradients(plain), gradients(checkpointed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    checkpointed.checkpoint_activations(False)
    assert not checkpointed.gradient_checkpointing


def saved_bytes(model: InternVideo2) -> int:
    """Returns the bytes that the graph of one forward keeps, weights aside."""
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(clip())
    assert output.logits.requires_grad
    return sum(kept.values())


def test_checkpointing_and_a_frozen_trunk_keep_less() -> None:
    model = build().train()
    whole = saved_bytes(model)
    model.checkpoint_activations()
    assert saved_bytes(model) < whole / 2
    model.checkpoint_activations(False)
    model.freeze_trunk(1)
    assert saved_bytes(model) < whole / 2


@pytest.mark.parametrize("num_trainable_blocks", [0, 1, 4])
def test_a_frozen_trunk_gets_no_gradient_and_the_rest_the_same(num_trainable_blocks: int) -> None:
    whole, frozen = build(), build()
    frozen.freeze_trunk(num_trainable_blocks)
    for model in (whole, frozen):
        model(clip()).logits.square().sum().backward()
    expected, got = gradients(whole), gradients(frozen)
    trunk = ("cls_token", "pos_embed", "patch_embed.", *(f"blocks.{i}." for i in range(4 - num_trainable_blocks)))
    assert set(got) == {name for name in expected if not name.startswith(trunk)}
    for name, gradient in got.items():
        torch.testing.assert_close(gradient, expected[name])
    frozen.unfreeze()
    assert all(parameter.requires_grad for parameter in frozen.parameters())


def test_the_trunk_runs_once_and_its_tokens_are_reused() -> None:
    model = build()
    model.freeze_trunk(2)
    tokens = model.forward_trunk(clip())
    assert not tokens.requires_grad
    whole, split = model(clip(), layers=[3, 2]), model.forward_from(tokens, layers=[3, 2])
    for name in whole:
        assert torch.equal(whole[name], split[name]), name
    split.logits.sum().backward()
    assert model.blocks[2].attn.proj.weight.grad is not None


@pytest.mark.parametrize("frozen", [False, True])
def test_a_share_of_the_tokens_is_what_the_trainable_blocks_see(frozen: bool) -> None:
    model = build()
    if frozen:
        model.freeze_trunk(2)
    before = model.forward_trunk(clip()) if frozen else model.embed_patches(clip())
    torch.manual_seed(5)
    some = model(clip(), layers=[3], token_share=0.25)
    count = model.config.num_patches
    assert len(some.seen) == count // 4
    assert torch.equal(some.seen, some.seen.unique())
    tokens = torch.cat([before[:, :1], before[:, 1 + some.seen]], dim=1)
    for block in model.blocks[2 if frozen else 0 :]:
        tokens = block(tokens)
    assert torch.equal(some.tokens, tokens)
    assert torch.equal(some.layers[:, 0], tokens.mean(dim=1))
    assert torch.equal(some.embedding, model.clip_projector(tokens))
    assert not torch.equal(some.seen, model(clip(), token_share=0.25).seen)
    assert model(clip()).seen is None
    if frozen:
        torch.manual_seed(5)
        assert torch.equal(model.forward_from(before, token_share=0.25).logits, some.logits)


def test_the_split_needs_a_boundary() -> None:
    model = build()
    with pytest.raises(ClipShapeError, match="the trunk is not frozen"):
        model.forward_trunk(clip())
    with pytest.raises(ClipShapeError, match=r"num_trainable_blocks: got 5, expected 0 \.\. 4"):
        model.freeze_trunk(5)
    model.freeze_trunk(1)
    with pytest.raises(ClipShapeError, match=r"tokens: got \(2, 36, 64\), expected \(b, 37, 64\)"):
        model.forward_from(torch.zeros(2, 36, 64))
    with pytest.raises(ClipShapeError, match=r"expected block indices in 3 \.\. 3; for those of the frozen trunk"):
        model.forward_from(torch.zeros(2, 37, 64), layers=[2])


def test_a_frozen_trunk_is_not_randomised_while_training() -> None:
    model = build(drop_path_rate=0.5, head_dropout=0.5)
    model.freeze_trunk(1)
    model.train()
    assert not model.blocks[2].training
    assert model.blocks[3].training
    assert torch.equal(model.forward_trunk(clip()), model.forward_trunk(clip()))
    first, second = model(clip()).logits, model(clip()).logits
    assert not torch.equal(first, second)
    assert torch.equal(model.eval()(clip()).logits, model(clip()).logits)


def test_stochastic_depth_rises_linearly_and_keeps_the_mean() -> None:
    model = build(drop_path_rate=0.3)
    assert [block.drop_path.rate for block in model.blocks] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    drop = model.blocks[3].drop_path.train()
    dropped = drop(torch.ones(20000, 1, 1))
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0.0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)


def test_compiled_blocks_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the tracing backend: that a compiler for the host is installed is no business of this test."""
    model = build()
    expected = infer(model, clip())
    keys = list(model.state_dict())
    compile_blocks(model, backend="eager")
    with torch.no_grad():
        output = model(clip())
    torch.testing.assert_close(output.embedding, expected.embedding)
    assert list(model.state_dict()) == keys


def test_transformers_round_trip(tmp_path: Path) -> None:
    model = build(projection="linear", projection_dim=5, sep_pos_embed=True)
    model.save_pretrained(tmp_path)
    assert isinstance(model, PreTrainedModel)
    for read in (InternVideo2.from_pretrained, AutoModel.from_pretrained, load_checkpoint):
        again = read(tmp_path)
        assert isinstance(again, InternVideo2)
        assert {name: tuple(value.shape) for name, value in again.state_dict().items()} == {
            name: tuple(value.shape) for name, value in model.state_dict().items()
        }
        assert torch.equal(again.eval()(clip()).projected, model(clip()).projected)
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, InternVideo2Config)
    ignored = ("_name_or_path", "architectures", "dtype", "transformers_version")
    first, second = ({k: v for k, v in c.to_dict().items() if k not in ignored} for c in (config, model.config))
    assert first == second


def test_from_pretrained_initialises_what_the_folder_lacks(tmp_path: Path) -> None:
    build(num_classes=0).save_pretrained(tmp_path)
    model = InternVideo2.from_pretrained(tmp_path, num_classes=5)
    assert model.head is not None
    assert 0 < model.head.weight.std() < 1e-4
    assert torch.equal(model.cls_token, build(num_classes=0).cls_token)


def test_saved_files_keep_the_official_keys(tmp_path: Path) -> None:
    from safetensors import safe_open

    InternVideo2(variant_config("S14", num_classes=400, num_frames=8)).half().save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as stored:
        shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    assert shapes == table("ft_S14_k400_f8")


@pytest.mark.gpu
def test_the_gpu_computes_the_same() -> None:
    model = build()
    expected = infer(model, clip())
    got = infer(model.cuda(), clip().cuda())
    torch.testing.assert_close(got.embedding.cpu(), expected.embedding, rtol=1e-3, atol=1e-3)
    low = infer(model, clip().cuda(), precision="bfloat16")
    assert (low.embedding.cpu() - expected.embedding).abs().max() < 0.03 * expected.embedding.abs().max()
