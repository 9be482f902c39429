"""The same controls on the embedded data set, its shipped teacher and its default student, all of it smaller."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import style_prompt
from benchmarks.controls import shuffle_targets
from benchmarks.seeds import relabelled
from benchmarks.settings import without_targets
from pipeline.adaptation import SHIPPED, adapt
from pipeline.aligned import DataPaths
from pipeline.datasets import embedded
from pipeline.evaluation import evaluate
from pipeline.manifest import read_labels, write_labels
from pipeline.params import Params, Split, load_params
from pipeline.training import distil
from tests.imports import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SHUFFLES = (1, 2, 3, 4, 5, 6)
NEAR_ZERO = 0.35
"""Of the mean over the shuffles. One alone says little: predictions that mean nothing still vary with how much detail a
clip has, and so does the score."""
LEARNT = 0.5
"""What the same student reaches, at the least, with the right opinions or the right targets."""
NO_BETTER = 0.1
"""What means over three runs of one student, with few labels, may differ by."""


@dataclass(frozen=True)
class Made:
    """The data set, and the settings that it was made with."""

    params: Params
    paths: DataPaths


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("embedded")
    whole = load_params(ROOT / "params.yaml")
    kinds = ["embedding", "embedding_normed", "logits"]
    losses = {name: weight for name, weight in whole.distill.losses.items() if name != "tokens"}
    params = whole.model_copy(
        update={
            "prepare": whole.prepare.model_copy(update={"split": Split(val=0.1, test=0.4)}),
            "render": whole.render.model_copy(update={"views_per_video": 2}),
            "adapt": whole.adapt.model_copy(
                update={"epochs": 0, "checkpoint": str(ROOT / SHIPPED / whole.adapt.teacher), "threads": 1}
            ),
            "extract": whole.extract.model_copy(update={"kinds": kinds}),
            "distill": whole.distill.model_copy(update={"epochs": 8, "threads": 1, "losses": losses}),
            "evaluate": whole.evaluate.model_copy(update={"bootstrap": 100}),
        }
    )
    smaller = {
        "contents": 48,
        "levels": 3,
        "num_frames": 16,
        "sizes": [[256, 144]],
        "seed": 5,
        "codecs": ["h264", "vp9"],
        "families": embedded.Settings.parse({}, "").families,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("DVC_ROOT", str(place))
        teacher = style_prompt.TEACHER
        adapt(params.adapt, clips=place, tables=place, teacher=teacher, curves=place / "curves.csv", device="cpu")
        return Made(params, style_prompt.second_set(params, place / "data", **smaller))


def srcc(made: Made, place: Path, *, seed: int, losses: dict[str, float], **changed: Path) -> float:
    """SRCC on the test split of a student of other labels or targets; calibration and figures know the right ones."""
    paths = replace(made.paths, **changed)
    settings = made.params.distill.model_copy(update={"seed": seed, "losses": losses})
    student = distil(settings, paths, device="cpu", scratch=place / "scratch").student
    student.save_pretrained(place / "student")
    found = evaluate(made.params.evaluate, replace(paths, labels=made.paths.labels), place / "student", device="cpu")
    return float(found.metrics["student"]["srcc"])


def test_a_student_of_shuffled_opinions_scores_near_zero(made: Made, tmp_path: Path) -> None:
    alone = without_targets(made.params.distill.losses)
    labels = read_labels(made.paths.labels)
    wrong = []
    for seed in SHUFFLES:
        order = np.random.default_rng(seed).permutation(len(labels))
        shuffled = [replace(label, mos=labels[other].mos) for label, other in zip(labels, order, strict=True)]
        write_labels(tmp_path / f"{seed}.csv", shuffled)
        wrong.append(srcc(made, tmp_path / str(seed), seed=seed, losses=alone, labels=tmp_path / f"{seed}.csv"))
    right = srcc(made, tmp_path / "right", seed=1, losses=alone)
    print(f"right {right:.3f}, shuffled {wrong}")
    assert right > LEARNT
    assert abs(np.mean(wrong)) < NEAR_ZERO, wrong


def test_targets_of_other_videos_are_no_better_than_none(made: Made, tmp_path: Path) -> None:
    losses = made.params.distill.losses
    few = tmp_path / "labels.csv"
    write_labels(few, relabelled(read_labels(made.paths.labels), made.params, seed=1, fraction=0.2))
    made = replace(made, paths=replace(made.paths, labels=few))
    right = srcc(made, tmp_path / "right", seed=1, losses=losses)
    alone, shuffled = [], []
    for seed in SHUFFLES[:3]:
        targets = tmp_path / f"{seed}.zarr"
        shuffle_targets(made.paths.targets, targets, seed=seed)
        alone.append(srcc(made, tmp_path / f"alone-{seed}", seed=seed, losses=without_targets(losses)))
        shuffled.append(srcc(made, tmp_path / f"shuffled-{seed}", seed=seed, losses=losses, targets=targets))
    print(f"right {right:.3f}, alone {alone}, shuffled {shuffled}")
    assert right > LEARNT
    assert np.mean(shuffled) <= np.mean(alone) + NO_BETTER, (alone, shuffled)
