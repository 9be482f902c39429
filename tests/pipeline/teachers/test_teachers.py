"""Every file of pipeline/teachers/ is a teacher: found by listing the folder."""

import dataclasses
import re

import pytest
import torch

from pipeline.core.registry import find, names
from pipeline.models.internvideo2 import InternVideo2, InternVideo2Config, infer
from pipeline.models.pixels import normalise
from pipeline.rendering.sampling import FRAME_RULES
from pipeline.teachers.adaptation.initial import teacher_config
from pipeline.teachers.shared.preprocessing import Preprocessing

TEACHERS = names("teachers")


def test_the_official_sizes_and_the_embedded_one_are_there() -> None:
    assert {f"internvideo2_{size}" for size in ("tiny", "s14", "b14", "l14", "1b", "6b")} <= set(TEACHERS)


@pytest.mark.parametrize("name", TEACHERS)
def test_conformance(name: str) -> None:
    teacher = find("teachers", name)
    preprocessing, config = teacher.PREPROCESSING, teacher_config(name)
    assert isinstance(preprocessing, Preprocessing)
    assert isinstance(config, InternVideo2Config)
    assert preprocessing.sampling in FRAME_RULES
    assert preprocessing.policy in ("resize", "squash", "fragments")
    assert (preprocessing.policy == "fragments") == (preprocessing.fragment_grid > 0)
    assert (preprocessing.num_frames, preprocessing.size) == (config.num_frames, config.image_size)
    assert config.image_size % config.patch_size == config.num_frames % config.tubelet_size == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        preprocessing.size = 1
    with torch.device("meta"):
        pixels = torch.empty(1, 3, config.num_frames, config.image_size, config.image_size)
        tokens = InternVideo2(config).embed_patches(pixels)
    assert tokens.shape == (1, 1 + config.num_patches, config.embed_dim)


@pytest.mark.parametrize("name", TEACHERS)
def test_the_docstring_says_where_the_weights_are(name: str) -> None:
    assert re.search(r"^Weights: ", find("teachers", name).__doc__ or "", re.MULTILINE)


def test_the_embedded_teacher_runs() -> None:
    teacher = find("teachers", "internvideo2_tiny")
    model = InternVideo2(teacher_config("internvideo2_tiny")).eval()
    clips = torch.randint(0, 256, (2, 8, 112, 112, 3), dtype=torch.uint8)
    output = infer(model, normalise(clips, teacher.PREPROCESSING.mean, teacher.PREPROCESSING.std))
    assert output.embedding.shape == output.embedding_normed.shape == (2, 256)
    assert output.tokens.shape == (2, 1 + 2 * 256, 192)
    assert output.logits is None
