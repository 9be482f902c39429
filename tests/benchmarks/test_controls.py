"""The controls do what they say: wrong targets under right keys, and a teacher as it was before any training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.controls import save_first_values, shuffle_targets
from cache import open_store
from pipeline import adaptation
from pipeline.models.internvideo2 import load_checkpoint
from pipeline.params import AdaptSettings, load_params
from tests.pipeline.test_adaptation import CONFIG
from tests.stores import names, write_clips

ROOT = Path(__file__).parents[2]


def test_every_video_has_the_targets_of_another_one_under_its_own_keys(tmp_path: Path) -> None:
    write_clips(tmp_path / "rows.zarr", names(6))
    shuffle_targets(tmp_path / "rows.zarr", tmp_path / "shuffled.zarr", seed=1)
    before, after = (open_store(tmp_path / name) for name in ("rows.zarr", "shuffled.zarr"))
    assert after.units() == before.units()
    given = set()
    for video_id in names(6):
        own = after.read("main", after.rows_of(video_id))
        same = [other for other in names(6) if np.array_equal(own, before.read("main", before.rows_of(other)))]
        assert same != [video_id]
        given.update(same)
    assert given == set(names(6))


def test_first_values_are_not_those_of_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation.registry.find("teachers", "internvideo2_tiny"), "config", lambda: CONFIG)
    settings: AdaptSettings = load_params(ROOT / "params.yaml").adapt
    one = load_checkpoint(save_first_values(settings, tmp_path / "one"))
    checkpoint = settings.model_copy(update={"checkpoint": str(tmp_path / "one"), "seed": 5})
    other = load_checkpoint(save_first_values(checkpoint, tmp_path / "other"))
    for block, another in zip(one.blocks, other.blocks, strict=True):
        assert not torch.equal(block.attn.qkv.weight, another.attn.qkv.weight)
        assert not torch.equal(block.mlp.fc1.weight, another.mlp.fc1.weight)
