"""Numbers that must be bad: a student of shuffled opinions, and targets that belong to other videos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.manifest import read_labels, write_labels
from pipeline.evaluation.evaluate import evaluate
from pipeline.students.data.rows import DataPaths
from pipeline.students.distillation.distill import distill
from stages.params import load_params
from tests import tiny_run
from tests.tiny_run import PARAMS, tiny_settings, write_targets, write_tiny_run

pytestmark = pytest.mark.slow
SPLITS = {"train": 24, "val": 10, "test": 40}
NEAR_ZERO = 0.3
"""Three standard deviations of the SRCC of 120 unrelated pairs."""
NO_BETTER = 0.08
"""What two runs of one student on 120 videos may differ by."""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> DataPaths:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_run, "SPLITS", SPLITS)
        return write_tiny_run(tmp_path_factory.mktemp("numbers"))


def srcc(paths: DataPaths, place: Path, **changes: object) -> float:
    """SRCC of a student on the test split."""
    result = distill(tiny_settings(epochs=4, **changes), paths, device="cpu", scratch=place / "scratch")
    result.student.save_pretrained(place / "student")
    settings = load_params(PARAMS).evaluate.model_copy(update={"bootstrap": 100})
    return float(evaluate(settings, paths, place / "student", device="cpu").metrics["student"]["srcc"])


def test_a_student_of_shuffled_opinions_scores_near_zero(paths: DataPaths, tmp_path: Path) -> None:
    labels = read_labels(paths.labels)
    order = np.random.default_rng(4).permutation(len(labels))
    shuffled = [replace(label, mos=labels[other].mos) for label, other in zip(labels, order, strict=True)]
    write_labels(tmp_path / "labels.csv", shuffled)
    right = srcc(paths, tmp_path / "right")
    wrong = srcc(replace(paths, labels=tmp_path / "labels.csv"), tmp_path / "wrong")
    assert right > 0.7
    assert abs(wrong) < NEAR_ZERO


def test_targets_of_other_videos_are_no_better_than_none(
    paths: DataPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [
        replace(label, labelled=label.labelled and (label.split != "train" or label.content in ("train0", "train1")))
        for label in read_labels(paths.labels)
    ]
    write_labels(tmp_path / "labels.csv", few)
    mine = replace(paths, labels=tmp_path / "labels.csv", targets=tmp_path / "targets.zarr")
    bank: list[np.ndarray] = []
    embed = tiny_run.embed

    def embed_another(pixels: np.ndarray) -> np.ndarray:
        """The embedding of a video asked for before, drawn by lot."""
        bank.append(embed(pixels))
        return bank[generator.integers(len(bank))]

    generator = np.random.default_rng(9)
    monkeypatch.setattr(tiny_run, "embed", embed_another)
    write_targets(mine, kinds=("embedding", "embedding_normed", "logits"))
    alone, shuffled = [], []
    for seed in (1, 2, 3):
        for losses, scores in (({"mos_regression": 1.0, "feature_smoothl1": 0.0}, alone), (None, shuffled)):
            changes = {"losses": losses} if losses else {}
            scores.append(srcc(mine, tmp_path / f"{seed}-{len(scores)}-{bool(losses)}", seed=seed, **changes))
    assert np.mean(shuffled) <= np.mean(alone) + NO_BETTER, (alone, shuffled)
