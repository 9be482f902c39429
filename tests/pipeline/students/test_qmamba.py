"""Q-Mamba: the paper's sizes, style prompts that leave the rest alone, and one model for several sets."""

import numpy as np
import pytest
import torch

from pipeline.core.settings import SettingsError
from pipeline.students.data.rows import AlignedData
from pipeline.students.distillation.distill import distill
from pipeline.students.shared.model import StudentConfig, StudentError, StudentModel, create_student, load_student
from pipeline.students.shared.prediction import predict_videos
from pipeline.students.shared.qmamba import StylePrompt
from tests.tiny_run import tiny_settings

TINY = {"width": 16, "depths": [1, 1], "patch_size": 4, "window": 3}
PROMPTED = TINY | {"num_prompts": 2, "tune": "style_prompt"}
CLIP_SHAPE = (4, 28, 28, 3)


def tiny(seed=0, initial=None, **options):
    torch.manual_seed(seed)
    return create_student("qmamba", TINY | options, target_dim=32, clip_shape=CLIP_SHAPE, initial=initial)


def clips(size=3):
    return torch.randint(0, 256, (size, *CLIP_SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def trained(tiny_paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qmamba")
    settings = tiny_settings(student="qmamba", options={"qmamba": TINY}, epochs=8, learning_rate=0.003)
    result = distill(settings, tiny_paths, device="cpu", scratch=folder)
    result.student.save_pretrained(folder / "student")
    return folder / "student", result


@pytest.mark.parametrize(
    ("variant", "millions", "billions"), [("T", 27.99, 4.47), ("S", 49.37, 8.71), ("B", 87.53, 15.35)]
)
def test_sizes_are_the_papers_within_a_tenth(variant, millions, billions):
    config = StudentConfig(student="qmamba", options={"variant": variant}, target_dim=768, clip_shape=[1, 224, 224, 3])
    with torch.device("meta"):
        student = StudentModel(config)
    assert student.num_parameters() / 1e6 == pytest.approx(millions, rel=0.1)
    assert student.flops() / 2e9 == pytest.approx(billions, rel=0.1)


@pytest.mark.parametrize("variant", ["small", "T", "S", "B"])
def test_prompts_are_a_few_per_cent_of_the_parameters(variant):
    options = {"variant": variant, "num_prompts": 8}
    config = StudentConfig(student="qmamba", options=options, target_dim=768, clip_shape=[8, 112, 112, 3])
    with torch.device("meta"):
        network = StudentModel(config).network
    prompts = sum(value.numel() for name, value in network.named_parameters() if name.startswith("body.style."))
    assert 0.005 < prompts / sum(value.numel() for value in network.parameters()) < 0.04


def test_only_prompts_train_and_nothing_else_moves_by_a_bit(trained, tiny_paths, tmp_path):
    folder, _ = trained
    settings = tiny_settings(
        student="qmamba", options={"qmamba": PROMPTED}, initial=str(folder), epochs=3, weight_average=0.9
    )
    result = distill(settings, tiny_paths, device="cpu", scratch=tmp_path)
    base, tuned = load_student(folder).network.state_dict(), result.student.network.state_dict()
    assert all(torch.equal(tuned[name], value) for name, value in base.items())
    added = tuned.keys() - base.keys()
    assert added
    assert all(name.startswith("body.style.") for name in added)
    begun = tiny(initial=folder, **PROMPTED)
    trainable = {name.removeprefix("network.") for name, value in begun.named_parameters() if value.requires_grad}
    assert trainable == added
    assert any(tuned[name].abs().max() > 0 for name in added if name.endswith(("scale.weight", "shift.weight")))
    assert set(result.student.config.provenance["digests"]) == {"clips", "targets", "labels", "initial"}
    result.student.save_pretrained(tmp_path / "tuned")
    again = load_student(tmp_path / "tuned")
    with torch.no_grad():
        assert torch.equal(again(clips()).score, result.student(clips()).score)
        assert not torch.equal(again(clips()).score, load_student(folder)(clips()).score)


def test_a_prompted_model_begins_as_the_model_it_was(trained):
    folder, _ = trained
    with torch.no_grad():
        base, begun = load_student(folder)(clips()), tiny(initial=folder, **PROMPTED).eval()(clips())
    assert torch.equal(base.score, begun.score)
    assert torch.equal(base.embedding, begun.embedding)


def test_a_prompted_model_can_be_prompted_again(trained, tmp_path):
    once = tiny(initial=trained[0], **PROMPTED)
    with torch.no_grad():
        once.network.body.style[0].shift.bias.fill_(0.3)
    once.save_pretrained(tmp_path)
    twice = tiny(seed=9, initial=tmp_path, **PROMPTED)
    assert all(torch.equal(value, once.state_dict()[name]) for name, value in twice.state_dict().items())


def test_what_cannot_be_tuned_is_refused(trained):
    with pytest.raises(SettingsError, match="num_prompts is 0, so nothing would train"):
        tiny(tune="style_prompt")
    with pytest.raises(StudentError, match=r"qmamba\.tune is 'style_prompt'.*name one in distill\.initial"):
        tiny(**PROMPTED)
    with pytest.raises(StudentError, match="has another network"):
        tiny(initial=trained[0], **(PROMPTED | {"width": 32}))


def test_prompts_by_hand():
    prompt = StylePrompt(4, 2)
    maps = torch.ones(1, 2, 2, 4)
    assert torch.equal(prompt(maps), maps)
    with torch.no_grad():
        prompt.scale.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
        prompt.shift.bias.copy_(torch.tensor([0.0, 0.0, 5.0, 0.0]))
    assert prompt(maps)[0, 1, 1].tolist() == [1.0, 2.0, 6.0, 1.0]


def test_it_learns_and_every_patch_counts(trained, tiny_paths):
    _, result = trained
    assert result.metrics["val_srcc"] > 0.6
    data = AlignedData(tiny_paths, "main")
    scores = predict_videos(result.student, data, data.split("val"), description="test")
    assert np.isfinite(scores).all()
    student = tiny().eval()
    with torch.no_grad():
        original = student(clips(1)).score
        for row in (0, 27):
            changed = clips(1)
            changed[:, 2, row, row] = 255 - changed[:, 2, row, row]
            assert not torch.equal(student(changed).score, original)
