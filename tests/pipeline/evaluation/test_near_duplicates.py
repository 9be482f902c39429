"""Copies in different splits are found by their embeddings; what merely resembles is not."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.evaluation.near_duplicates import _near, near_duplicates
from tests.tiny_run import write_tiny_run


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_copy_with_other_bytes_is_found_among_many(noise: float) -> None:
    generator = np.random.default_rng(1)
    embeddings = generator.normal(size=(3000, 64)) * generator.uniform(0.01, 100, 64)
    embeddings[2500] = embeddings[7] * (1 + noise * generator.normal(size=64))
    splits = np.array(["train"] * 2000 + ["test"] * 1000)
    ((distance, one, other),) = _near(embeddings, splits)
    assert (one, other) == (2500, 7)
    assert distance < 0.05
    splits[2500] = "train"
    assert _near(embeddings, splits) == []


def test_a_constant_embedding_says_nothing() -> None:
    assert _near(np.ones((4, 3)), np.array(["train", "test"] * 2)) == []


def test_pairs_of_the_stores_videos_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_tiny_run(tmp_path, broken=["train0_25"])
    monkeypatch.setattr("pipeline.evaluation.near_duplicates.NEAR", 1e-9)
    assert near_duplicates(paths.targets, paths.labels) == []
    monkeypatch.setattr("pipeline.evaluation.near_duplicates.NEAR", 100.0)
    lines = near_duplicates(paths.targets, paths.labels)
    assert len(lines) == 20
    for line in lines:
        splits = re.findall(r"\((train|val|test)\)", line)
        assert len(set(splits)) == 2
        assert "train0_25" not in line
