"""The study of cross-fitting: one seed end to end, a stop in between, the summary."""

from pathlib import Path

import pytest

from benchmarks import cross_fitting
from benchmarks.cross_fitting import ALONE, CROSSED, CROSSED_TRAIN, OWN, TEACHER_TEST, TEACHER_TRAIN
from pipeline import adaptation
from pipeline.params import Params, load_params
from tests.pipeline.test_adaptation import CONFIG
from tests.stores import names, write_clips, write_tables
from tests.tiny_run import PARAMS


@pytest.fixture
def params() -> Params:
    whole = load_params(PARAMS)
    small = {"epochs": 1, "threads": 1, "batch_size": 8}
    changes = {"checkpoint": None, "trainable_blocks": 1, "cross_fit_folds": 2}
    return whole.model_copy(
        update={
            "adapt": whole.adapt.model_copy(update=small | changes),
            "distill": whole.distill.model_copy(update=small),
            "evaluate": whole.evaluate.model_copy(update={"bootstrap": 100}),
            "runtime": whole.runtime.model_copy(update={"workers": 1, "device": "cpu"}),
        }
    )


def test_one_seed_gives_three_students_and_both_kinds_of_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(adaptation.registry.find("teachers", "internvideo2_tiny"), "config", lambda: CONFIG)
    write_tables(tmp_path / "data", names(24))
    (tmp_path / "data/videos").mkdir()
    for name in names(24):
        (tmp_path / f"data/videos/{name}.mp4").write_bytes(bytes(100))
    write_clips(tmp_path / "data/clips.zarr", names(24), views=2)
    used = []
    scored = cross_fitting.score

    def noted(params, seed, paths, losses):
        used.append((params.distill.cross_fitted_scores, "teacher_score" in losses))
        return scored(params, seed, paths, losses)

    monkeypatch.setattr(cross_fitting, "score", noted)
    rows = cross_fitting.run(params, seed=1, fraction=1.0)
    assert used == [(False, True), (True, True), (False, False)]
    assert [row["predictor"] for row in rows] == [TEACHER_TRAIN, CROSSED_TRAIN, OWN, CROSSED, ALONE, TEACHER_TEST]
    by_name = {row["predictor"]: row["srcc"] for row in rows}
    assert by_name[TEACHER_TRAIN] != by_name[CROSSED_TRAIN]


def test_the_summary_pairs_by_seed() -> None:
    rows = [
        {
            "fraction": 0.5,
            "folds": 5,
            "seed": seed,
            "predictor": predictor,
            "srcc": srcc + 0.01 * seed * (predictor == OWN),
        }
        for seed in (1, 2)
        for predictor, srcc in (
            *((TEACHER_TRAIN, 0.95), (CROSSED_TRAIN, 0.85), (OWN, 0.70), (CROSSED, 0.75), (ALONE, 0.65)),
            (TEACHER_TEST, 0.84),
        )
    ]
    text = cross_fitting.summary(rows)
    assert text.startswith("Labelled fraction 0.5, 5 folds")
    assert f"| {OWN} | 0.715 | 0.710, 0.720 |" in text
    assert f"- {CROSSED} minus {OWN}, paired over seeds: +0.035 (95 % interval -0.029 to +0.099, 2 seeds)" in text
    assert f"- {TEACHER_TRAIN} minus {CROSSED_TRAIN}, paired over seeds: +0.100" in text
