"""The homologous student: official sizes, its first values, and why it needs no projector."""

import itertools

import pytest
import torch

from pipeline.core.registry import find
from pipeline.models.internvideo2 import CheckpointError, InternVideo2, InternVideo2Config
from pipeline.students.shared.model import StudentConfig, StudentModel, create_student, load_student

CLIP_SHAPE = (8, 224, 224, 3)


@pytest.mark.parametrize(("variant", "parameters"), [("S14", 23_352_976), ("B14", 89_748_112), ("L14", 309_238_416)])
def test_official_sizes_have_the_official_parameter_count(variant, parameters):
    options = {"variant": variant, "tubelet_size": 1, "pool_num_heads": 16}
    config = StudentConfig(student="internvideo2", options=options, target_dim=768, clip_shape=list(CLIP_SHAPE))
    with torch.device("meta"):
        student = StudentModel(config)
    k400_head, one_output_head = 400 * (768 + 1), 768 + 1
    assert student.num_parameters() == parameters - k400_head + one_output_head


def test_embedding_is_as_wide_as_the_target():
    options = {"embed_dim": 32, "depth": 1, "num_heads": 2, "pool_num_heads": 2}
    student = create_student("internvideo2", options, target_dim=40, clip_shape=(4, 28, 28, 3))
    output = student(torch.zeros(1, 4, 28, 28, 3, dtype=torch.uint8))
    assert output.embedding.shape == (1, 40)
    assert output.layers.shape == (1, 1, 32)
    assert output.score.item() == pytest.approx(0.5, abs=0.05)


def test_a_training_step_sees_its_share_of_the_tokens_and_scoring_all_of_them():
    options = {"embed_dim": 32, "depth": 2, "num_heads": 2, "pool_num_heads": 2}
    shape, clips = (4, 56, 56, 3), torch.randint(0, 256, (2, 4, 56, 56, 3), dtype=torch.uint8)
    student = create_student("internvideo2", options | {"token_share": 0.25}, target_dim=40, clip_shape=shape)
    whole = create_student("internvideo2", options, target_dim=40, clip_shape=shape)
    whole.load_state_dict(student.state_dict())
    torch.testing.assert_close(student.eval()(clips).score, whole.eval()(clips).score, rtol=0, atol=0)
    first, second = student.train()(clips), student(clips)
    assert first.seen.shape == (2, 4, 4)
    assert first.seen.sum() == 8
    assert torch.equal(first.tokens.abs().sum(dim=(0, -1)) > 0, first.seen)
    assert not torch.equal(first.seen, second.seen)
    every = create_student("internvideo2", options | {"token_share": 0.9999}, target_dim=40, clip_shape=shape)
    every.load_state_dict(whole.state_dict())
    some, all_of_them = every.train()(clips), whole.train()(clips)
    torch.testing.assert_close(some.score, all_of_them.score)
    torch.testing.assert_close(some.layers, all_of_them.layers)
    torch.testing.assert_close(some.tokens, all_of_them.tokens)


def test_a_checkpoint_gives_its_values_but_not_its_head(tmp_path):
    options = {"embed_dim": 32, "depth": 1, "num_heads": 2, "pool_num_heads": 2, "tubelet_size": 2}
    config = InternVideo2Config(
        embed_dim=32,
        depth=1,
        num_heads=2,
        mlp_ratio=4.0,
        tubelet_size=2,
        num_frames=4,
        image_size=28,
        layerscale_init=0.1,
        pool_dim=40,
        pool_num_heads=2,
        num_classes=1,
    )
    torch.manual_seed(3)
    teacherless = InternVideo2(config)
    with torch.no_grad():
        teacherless.head.bias.fill_(9.0)
    path = tmp_path / "distilled.pth"
    torch.save({"model": teacherless.state_dict()}, path)
    options["checkpoint"] = str(path)
    student = create_student("internvideo2", options, target_dim=40, clip_shape=(4, 28, 28, 3))
    encoder = student.network.encoder
    assert torch.equal(encoder.blocks[0].mlp.fc1.weight, teacherless.blocks[0].mlp.fc1.weight)
    assert encoder.head.bias.item() == 0.5


def test_a_shallower_student_begins_with_the_first_blocks_of_a_deeper_checkpoint(tmp_path, capsys):
    sizes = {"embed_dim": 32, "num_heads": 2, "mlp_ratio": 4.0, "num_frames": 4, "image_size": 28, "tubelet_size": 2}
    torch.manual_seed(3)
    deep = InternVideo2(InternVideo2Config(**sizes, depth=12, pool_dim=40, pool_num_heads=2, num_classes=1))
    path = tmp_path / "teacher.pth"
    torch.save(deep.state_dict(), path)
    options = {"embed_dim": 32, "depth": 2, "num_heads": 2, "tubelet_size": 2, "checkpoint": str(path)}
    student = create_student("internvideo2", options, target_dim=40, clip_shape=(4, 28, 28, 3))
    begun = student.network.encoder.state_dict()
    assert {name for name in begun if name.startswith("blocks.")} == {
        name for name in deep.state_dict() if name.startswith(("blocks.0.", "blocks.1."))
    }
    assert all(
        torch.equal(begun[name], value)
        for name, value in deep.state_dict().items()
        if name in begun and "head" not in name
    )
    assert "blocks: the first 2 of 12" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match="missing"):
        create_student("internvideo2", options | {"depth": 13}, target_dim=40, clip_shape=(4, 28, 28, 3))


def test_a_folder_of_weights_says_how_large_a_student_begins_with_them(tmp_path):
    sizes = {"embed_dim": 48, "num_heads": 3, "mlp_ratio": 4.0, "num_frames": 4, "image_size": 28, "tubelet_size": 4}
    stored = InternVideo2Config(**sizes, depth=3, patch_size=7, pool_dim=40, pool_num_heads=4, num_classes=1)
    teacher = InternVideo2(stored).eval()
    teacher.save_pretrained(tmp_path)
    whole, half = (
        create_student(
            "internvideo2", options | {"checkpoint": str(tmp_path)}, target_dim=40, clip_shape=(4, 28, 28, 3)
        )
        for options in ({}, {"depth": 1})
    )
    assert (len(whole.network.encoder.blocks), len(half.network.encoder.blocks)) == (3, 1)
    pixels = torch.randn(2, 3, 4, 28, 28)
    with torch.no_grad():
        assert torch.equal(whole.eval().network(pixels).embedding, teacher(pixels).embedding_normed)
    half.eval().save_pretrained(tmp_path / "student")
    (tmp_path / "config.json").unlink()
    (tmp_path / "model.safetensors").unlink()
    with torch.no_grad():
        assert torch.equal(load_student(tmp_path / "student").network(pixels).score, half.network(pixels).score)


def test_an_official_checkpoint_pools_as_it_was_trained_to(tmp_path):
    config = InternVideo2Config(
        embed_dim=32,
        depth=1,
        num_heads=2,
        mlp_ratio=4.0,
        tubelet_size=1,
        num_frames=4,
        image_size=28,
        pool_dim=64,
        pool_num_heads=16,
        num_classes=1,
    )
    official = InternVideo2(config).eval()
    path = tmp_path / "distilled.pth"
    torch.save({"model": official.state_dict()}, path)
    options = {"embed_dim": 32, "depth": 1, "num_heads": 2, "checkpoint": str(path)}
    student = create_student("internvideo2", options, target_dim=64, clip_shape=(4, 28, 28, 3)).eval()
    pixels = torch.randn(2, 3, 4, 28, 28)
    with torch.no_grad():
        assert torch.equal(student.network(pixels).embedding, official(pixels).embedding_normed)


def test_the_stem_begins_as_a_cosine_basis_or_at_random():
    module = find("students", "internvideo2")
    stems = []
    for stem in ("dct", "dct_spread", "random"):
        settings = module.Settings(embed_dim=32, depth=1, num_heads=2, pool_num_heads=2, stem=stem)
        torch.manual_seed(0)
        network = module.build(settings, target_dim=40, clip_shape=(4, 28, 28, 3))
        module.initialise(network, settings)
        stems.append(network.encoder.patch_embed.proj.weight)
    assert all(not torch.equal(*pair) for pair in itertools.combinations(stems, 2))


def test_linear_layers_begin_at_the_scale_of_their_width():
    options = {"embed_dim": 64, "depth": 1, "num_heads": 2, "pool_num_heads": 2}
    wanted = {"fan_in": 1 / 8, "official": 0.02}
    for init, deviation in wanted.items():
        torch.manual_seed(0)
        student = create_student(
            "internvideo2", {**options, "linear_init": init}, target_dim=40, clip_shape=(4, 28, 28, 3)
        )
        weight = student.network.encoder.blocks[0].attn.qkv.weight
        assert weight.std().item() == pytest.approx(deviation, rel=0.2)
        assert student.network.encoder.head.weight.std().item() < 1e-3
