"""Students and the geometry of clips: what is left null follows the fragments, and no patch lies on two of them."""

import pytest
import torch

from pipeline.core.registry import names
from pipeline.students.data.batch import Batch
from pipeline.students.data.rows import AlignedData
from pipeline.students.distillation.projection import possible_losses, with_projectors
from pipeline.students.losses.shared.weighting import weighted_losses
from pipeline.students.shared.framewise import patch_side
from pipeline.students.shared.model import create_student, load_student
from tests.tiny_run import tiny_settings, write_tiny_run

GEOMETRIES = {
    "the default's first, 4 x 4 of 28 px": ((8, 112, 112, 3), 4),
    "aligned with blocks, 7 x 7 of 16 px": ((8, 112, 112, 3), 7),
    "FAST-VQA's, 7 x 7 of 32 px": ((2, 224, 224, 3), 7),
    "in one piece": ((4, 96, 96, 3), 1),
    "an odd number of frames, 6 x 6 of 16 px": ((3, 96, 96, 3), 6),
    "a still image": ((1, 112, 112, 3), 1),
}
TARGETS = {"embedding_normed": (64,), "tokens": (4, 4, 4, 48)}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", names("students"))
def test_a_student_with_its_default_options_takes_any_geometry(name, geometry, tmp_path):
    shape, grid = GEOMETRIES[geometry]
    torch.manual_seed(0)
    student = create_student(name, {}, target_dim=64, clip_shape=shape, grid=grid)
    losses = weighted_losses(possible_losses(student, {"feature_smoothl1": 1.0, "tokens": 1.0}))
    model = with_projectors(student, losses.needs, TARGETS)
    clips = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    batch = Batch(clips, torch.zeros(2), torch.ones(2, dtype=torch.bool))
    batch.targets = {target: torch.randn(2, *size) for target, size in TARGETS.items()}
    total, _ = losses(model(clips), batch)
    total.backward()
    assert torch.isfinite(total)
    student.eval().save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(load_student(tmp_path)(clips).score, student(clips).score)


@pytest.mark.parametrize(
    ("name", "option", "sides"),
    [
        ("internvideo2", "patch_size", {28: 14, 16: 16, 32: 16, 24: 8, 112: 14, 15: 15}),
        ("swinv2_c2f", "patch_size", {28: 7, 16: 8, 32: 8, 20: 4}),
        ("fragments", "patch_size", {28: 7, 16: 8, 32: 8, 24: 4}),
    ],
)
def test_patches_follow_the_fragments(name, option, sides):
    for fragment, side in sides.items():
        shape = (4, 2 * fragment, 2 * fragment, 3)
        assert create_student(name, {}, target_dim=64, clip_shape=shape, grid=2).config.options[option] == side
    chosen = create_student(name, {option: 7}, target_dim=64, clip_shape=(4, 56, 56, 3), grid=2)
    assert chosen.config.options[option] == 7


def test_without_a_preferred_side_the_largest_that_divides_is_taken():
    assert [patch_side(side, (14, 16, 8)) for side in (28, 48, 40, 15, 26, 13)] == [14, 16, 8, 15, 13, 13]


def test_the_grid_is_the_view_sets(tmp_path):
    data = AlignedData(write_tiny_run(tmp_path, view={"grid": 7}), tiny_settings().view_set)
    assert data.grid == 7
    assert AlignedData(write_tiny_run(tmp_path / "whole"), "main").grid == 1
