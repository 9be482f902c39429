"""Backbones of transformers by name, from a folder, and what is said where they cannot be had."""

import pytest
import torch
from transformers import AutoBackbone, ConvNextV2Config, ConvNextV2Model

from pipeline.core.settings import SettingsError
from pipeline.students.backbone import BackboneError
from pipeline.students.shared.model import create_student, load_student
from pipeline.students.shared.pretrained import PretrainedError

SIZES = {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]}
OTHERS = {
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    "mobilenet_v2": {"depth_multiplier": 0.1},
    "hgnet_v2": None,
    "convnext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "pvt_v2": {"hidden_sizes": [8, 16, 16, 32], "num_attention_heads": [1, 1, 1, 1], "depths": [1, 1, 1, 1]},
    "dinov2": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "patch_size": 14,
    },
    "vit": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "patch_size": 14,
    },
}


def tiny(seed=0, size=56, **options):
    torch.manual_seed(seed)
    return create_student(
        "backbone", {"config": SIZES, "width": 32} | options, target_dim=32, clip_shape=(4, size, size, 3)
    )


def clips(size=56):
    return torch.randint(0, 256, (2, 4, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_are_chosen_by_name(name, tmp_path):
    student = tiny(architecture=name, config=OTHERS[name]).eval()
    student.save_pretrained(tmp_path)
    with torch.no_grad():
        before, after = student(clips()), load_student(tmp_path)(clips())
    assert torch.equal(before.score, after.score)
    assert before.embedding.shape == (2, 32)
    assert torch.isfinite(before.embedding).all()


def test_an_architecture_without_stages_gives_its_last_state():
    assert len(tiny(architecture="mobilenet_v2", config=OTHERS["mobilenet_v2"]).network.project) == 1
    assert len(tiny().network.project) == 4


@pytest.mark.parametrize("temporal_depth", [0, 1])
def test_frames_are_pooled_over_time(temporal_depth):
    student, pixels = tiny(frame_stride=1, temporal_depth=temporal_depth).eval(), clips()
    with torch.no_grad():
        forwards, backwards = student(pixels).embedding, student(pixels.flip(1)).embedding
    assert torch.allclose(forwards, backwards, atol=1e-5) == (temporal_depth == 0)


def test_weights_come_from_a_folder_and_the_log_says_so(tmp_path, capsys):
    torch.manual_seed(4)
    given = ConvNextV2Model(ConvNextV2Config(**SIZES, patch_size=2, image_size=56))
    given.save_pretrained(tmp_path / "given")
    student = create_student(
        "backbone", {"pretrained": str(tmp_path / "given")}, target_dim=32, clip_shape=(4, 56, 56, 3)
    )
    said = capsys.readouterr().err
    assert f"convnextv2 begins with the weights of {tmp_path / 'given'}" in said
    assert "not in it and so new: hidden_states_norms.stage1.bias" in said
    found, expected = student.network.backbone.state_dict(), given.state_dict()
    assert all(torch.equal(expected[name], value) for name, value in found.items() if "states_norms" not in name)
    student.save_pretrained(tmp_path / "student")
    (tmp_path / "given").rename(tmp_path / "gone")
    loaded = load_student(tmp_path / "student")
    with torch.no_grad():
        assert torch.equal(loaded(clips()).score, student.eval()(clips()).score)


def test_weights_of_other_sizes_are_refused(tmp_path):
    torch.manual_seed(4)
    ConvNextV2Model(ConvNextV2Config(**SIZES, image_size=56)).save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("20", "24"))
    with pytest.raises(PretrainedError, match=r"are not those of this convnextv2: .* of another shape, such as"):
        tiny(pretrained=str(tmp_path))


def test_a_hub_name_without_network_says_what_to_do():
    with pytest.raises(PretrainedError, match=r"got 'someone/unknown'.*nor could it be had from the hub.*hf download"):
        tiny(pretrained="someone/unknown")


def test_random_weights_are_announced_and_spread(capsys):
    spread, own = tiny(), tiny(linear_init="own")
    assert capsys.readouterr().err.count("convnextv2 begins with random weights") == 2
    layers = [student.network.backbone.encoder.stages[0].layers[0].pwconv1.weight for student in (spread, own)]
    assert layers[0].std() > 5 * layers[1].std()


def test_a_patch_embedding_may_give_way_to_spectra():
    spectral, cosine, own = (tiny(stem=stem).network for stem in (None, "dct", "own"))
    assert spectral.stem.conv.kernel_size == (4, 4)
    stems = [each.backbone.embeddings.patch_embeddings for each in (spectral, cosine, own)]
    assert [each.kernel_size for each in stems] == [(1, 1), (4, 4), (4, 4)]
    flat = [each.weight[0, 1].std().item() < 1e-6 for each in stems[1:]]
    assert flat == [True, False]
    assert isinstance(tiny(architecture="resnet", config=OTHERS["resnet"]).network.stem, torch.nn.Identity)
    with pytest.raises(BackboneError, match="stem 'spectral' is for a patch embedding, which it does not have"):
        tiny(architecture="resnet", config=OTHERS["resnet"], stem="spectral")
    with pytest.raises(SettingsError, match="stem 'dct' would not use the first layer of 'pretrained'"):
        tiny(pretrained="somewhere", stem="dct")


def test_what_transformers_cannot_do_is_refused():
    with pytest.raises(BackboneError, match=r"knows no 'convnextv3'; did you mean 'convnextv2'\?.*resnet"):
        tiny(architecture="convnextv3")
    with pytest.raises(BackboneError, match="cannot look at frames of 56 px with 'resnet'"):
        tiny(architecture="resnet", config={"layer_type": "nonsense"})
    with pytest.raises(BackboneError, match="cannot look at frames of 56 px with 'bert'"):
        tiny(architecture="bert", config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2})


def test_a_stage_keeps_its_own_map():
    backbone = tiny().network.backbone
    assert isinstance(backbone, AutoBackbone._model_mapping[ConvNextV2Config])
    assert backbone.out_features == ["stage1", "stage2", "stage3", "stage4"]
