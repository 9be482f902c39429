"""Cross-fitted scores: where they go, whose they must be, and how many views a student is shown."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.aligned import AlignedData
from pipeline.batches import training_videos
from pipeline.cross_fitting import CrossFittingError, HeldOut, folds_of, read_held_out, write_held_out
from pipeline.losses import weighted_losses
from pipeline.training import distil
from tests.tiny_run import tiny_settings


def held_out(data):
    """A row per labelled training clip; every other video has its logits turned round."""
    digests = [str(digest) for digest in data.targets.column("clip_digest")]
    return [
        HeldOut(
            video_id=entry.video.video_id,
            view=int(data.targets.views[row]),
            clip_digest=digests[row],
            teacher_sha256="",
            logit=float(data.target("logits")[row, 0]) * (-1.0 if place % 2 else 1.0),
        )
        for place, entry in enumerate(data.split("train", labelled=True))
        for row in entry.rows
    ]


@pytest.fixture
def crossed(tiny_paths, tiny_data, tmp_path):
    paths = replace(tiny_paths, held_out=tmp_path / "held_out.csv")
    write_held_out(paths.held_out, held_out(tiny_data))
    return paths


def test_each_content_is_in_one_fold_and_the_seed_decides():
    contents = [f"c{index // 3}" for index in range(30)]
    folds = folds_of(contents, count=4, seed=1)
    assert (np.sum(folds, axis=0) == 1).all()
    for fold in folds:
        assert {contents[at] for at in np.flatnonzero(fold)}.isdisjoint(contents[at] for at in np.flatnonzero(~fold))
    same, other = folds_of(contents, count=4, seed=1), folds_of(contents, count=4, seed=2)
    assert np.array_equal(folds, same)
    assert not np.array_equal(folds, other)


def test_only_labelled_training_rows_are_replaced(crossed):
    own, without = AlignedData(crossed, "main"), AlignedData(crossed, "main", cross_fitted=True)
    table = read_held_out(crossed.held_out, teacher_sha256="")
    expected = own.target("logits")[:, 0].copy()
    labelled = np.concatenate([entry.rows for entry in own.split("train", labelled=True)])
    for row in labelled:
        expected[row] = table[own.targets.video_ids[row], int(own.targets.views[row])].logit
    usable = np.isfinite(expected)
    line = np.polyfit(expected[labelled], own._mos[labelled], 1)
    got = without.target("teacher_score")
    np.testing.assert_allclose(got[usable], np.polyval(line, expected[usable]), rtol=1e-4, atol=1e-5)
    assert not np.allclose(got[labelled], own.target("teacher_score")[labelled])


def test_the_switch_changes_the_student_and_its_record(crossed, tmp_path):
    students = []
    for number, on in enumerate((False, True)):
        settings = tiny_settings(epochs=1, losses={"teacher_score": 1.0}, cross_fitted_scores=on)
        students.append(distil(settings, crossed, device="cpu", scratch=tmp_path / str(number)))
    assert students[0].curves != students[1].curves
    digests = [result.student.config.provenance["digests"] for result in students]
    assert [set(found) - {"clips", "targets", "labels"} for found in digests] == [set(), {"held_out"}]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: [], "has no scores; set adapt.cross_fit_folds to 2 or more"),
        (lambda rows: rows[1:], "has no cross-fitted score; run adapt again"),
        (lambda rows: [replace(rows[0], clip_digest="f" * 64), *rows[1:]], "score of other pixels"),
        (lambda rows: [replace(row, teacher_sha256="e" * 64) for row in rows], "run adapt and extract again"),
        (lambda rows: [replace(rows[0], logit=float("nan")), *rows[1:]], "is nan"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(crossed, tiny_data, spoil, message):
    write_held_out(crossed.held_out, spoil(held_out(tiny_data)))
    with pytest.raises(CrossFittingError, match=message):
        AlignedData(crossed, "main", cross_fitted=True).target("teacher_score")


def test_a_missing_or_torn_table_is_refused(crossed):
    crossed.held_out.write_text(crossed.held_out.read_text()[:-20])
    with pytest.raises(CrossFittingError, match="run adapt again"):
        AlignedData(crossed, "main", cross_fitted=True).target("teacher_score")
    crossed.held_out.unlink()
    with pytest.raises(CrossFittingError, match="set adapt.cross_fit_folds"):
        AlignedData(crossed, "main", cross_fitted=True).target("teacher_score")


def test_training_draws_from_the_first_views_only(tiny_data):
    losses = weighted_losses({"feature_smoothl1": 1.0})
    every, first = training_videos(tiny_data, losses), training_videos(tiny_data, losses, views=1)
    assert [entry.video.video_id for entry in every] == [entry.video.video_id for entry in first]
    assert all(list(one.rows) == [two.rows[0]] for one, two in zip(first, every, strict=True))
    assert {len(entry.rows) for entry in every} == {2}
    assert {len(entry.rows) for entry in tiny_data.split("val")} == {2}
