"""What every student file must do; found by listing the folder."""

import pytest
import torch
from transformers import AutoModel

from pipeline.core.registry import find, names
from pipeline.core.settings import Section, SettingsError
from pipeline.students.distillation.distill import distill
from pipeline.students.shared.model import StudentError, StudentModel, create_student, load_student
from tests.tiny_run import tiny_settings

TINY = {
    "backbone": {"config": {"hidden_sizes": [8, 16, 16, 24], "depths": [1, 1, 1, 1]}, "width": 32},
    "fragments": {"grid": 2, "widths": [16, 32], "depths": [1, 2], "num_heads": [1, 2]},
    "swinv2_c2f": {"embed_dim": 8, "depths": [2, 1], "num_heads": [1, 2], "window_size": 4, "width": 32},
    "qmamba": {"width": 16, "depths": [1, 1], "window": 3},
    "internvideo2": {"embed_dim": 32, "depth": 2, "num_heads": 2, "pool_num_heads": 2},
}
"""Options that make a student small enough for a test; one that is small by itself needs none."""
SHALLOW = {"backbone": {"config": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}}}
"""What fits the clips of the tiny run, which are half as wide."""
CLIP_SHAPE = (4, 56, 56, 3)
TARGET_DIM = 48


def make_student(name: str, seed: int = 0) -> StudentModel:
    torch.manual_seed(seed)
    return create_student(name, TINY.get(name, {}), target_dim=TARGET_DIM, clip_shape=CLIP_SHAPE).eval()


def make_clips(size: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (size, *CLIP_SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", names("students"))
class TestEveryStudent:
    def test_documents_itself_and_has_frozen_settings(self, name):
        module = find("students", name)
        assert "Ref:" in module.__doc__ or "Ours" in module.__doc__
        assert issubclass(module.Settings, Section)
        with pytest.raises(SettingsError, match=f"distill.options.{name}.nonsense: unknown key"):
            create_student(name, {"nonsense": 1}, target_dim=TARGET_DIM, clip_shape=CLIP_SHAPE)

    def test_trains_from_the_cache_and_loads_again_to_the_same_outputs(self, name, tiny_paths, tmp_path):
        settings = tiny_settings(student=name, options={name: TINY.get(name, {}) | SHALLOW.get(name, {})}, epochs=2)
        result = distill(settings, tiny_paths, device="cpu", scratch=tmp_path / "scratch")
        first, second = (row["feature_smoothl1_loss"] for row in result.curves)
        assert 0.0 < second < first
        result.student.save_pretrained(tmp_path / "student")
        clips = torch.randint(0, 256, (2, *result.student.config.clip_shape), dtype=torch.uint8)
        with torch.no_grad():
            assert torch.equal(load_student(tmp_path / "student")(clips).score, result.student.eval()(clips).score)

    def test_scores_clips_and_embeds_them(self, name):
        with torch.no_grad():
            output = make_student(name)(make_clips())
        assert output.score.shape == (3,)
        assert output.embedding.shape[0] == 3
        assert output.embedding.ndim == 2
        assert output.layers is None or output.layers.shape[0] == 3
        assert torch.isfinite(output.score).all()
        assert torch.isfinite(output.embedding).all()

    def test_a_row_does_not_depend_on_its_batch_mates(self, name):
        student, clips = make_student(name), make_clips()
        with torch.no_grad():
            together, alone = student(clips), student(clips[1:2])
        torch.testing.assert_close(together.score[1:2], alone.score, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(together.embedding[1:2], alone.embedding, atol=1e-4, rtol=1e-3)

    def test_every_parameter_can_learn(self, name):
        student = make_student(name).train()
        output = student(make_clips())
        total = output.score.sum() + output.embedding.square().sum()
        if output.layers is not None:
            total = total + output.layers.square().sum()
        total.backward()
        still = [key for key, value in student.named_parameters() if value.requires_grad and value.grad is None]
        assert not still

    def test_saves_and_loads_to_the_same_outputs(self, name, tmp_path):
        student, clips = make_student(name), make_clips()
        student.save_pretrained(tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
        torch.manual_seed(99)
        for loaded in (load_student(tmp_path), AutoModel.from_pretrained(tmp_path).eval()):
            with torch.no_grad():
                before, after = student(clips), loaded(clips)
            assert torch.equal(before.score, after.score)
            assert torch.equal(before.embedding, after.embedding)

    def test_first_values_repeat_by_seed(self, name):
        one, same, other = (make_student(name, seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(one[key], same[key]) for key in one)
        assert any(not torch.equal(one[key], other[key]) for key in one)

    def test_counts_its_size_and_cost(self, name):
        student = make_student(name).train()
        assert student.num_parameters() == sum(parameter.numel() for parameter in student.parameters())
        assert student.flops() > student.num_parameters()
        assert student.training

    def test_clips_of_another_shape_are_refused(self, name):
        with pytest.raises(StudentError, match=r"got clips of shape \(4, 28, 56, 3\); this student takes"):
            make_student(name)(torch.zeros(1, 4, 28, 56, 3, dtype=torch.uint8))


def test_a_folder_without_a_student_is_refused(tmp_path):
    with pytest.raises(StudentError, match="cannot load a student"):
        load_student(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    make_student("internvideo2").save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"depth": 2', '"depth": 3'))
    with pytest.raises(StudentError, match="are not those of its network"):
        load_student(tmp_path)
