"""The study of views: what a call renders, what a training is shown, what the summary pairs."""

import pytest

from benchmarks import views
from benchmarks.views import ViewStudyError, run, summary, with_view_sets
from pipeline.params import load_params
from tests.tiny_run import PARAMS, tiny_settings, write_tiny_run


def test_a_view_set_is_one_that_is_rendered_or_a_policy_over_the_same_frames():
    params = load_params(PARAMS)
    changed = with_view_sets(params, ["main", "resize", "fragments"], most=8)
    assert changed.render.views_per_video == 8
    sets = changed.render.view_sets
    assert set(sets) == {"main", "resize", "fragments"}
    assert sets["main"] == params.render.view_sets["main"]
    policies = views.view_policies(changed.render, params.adapt.teacher)
    assert {(each.num_frames, each.sampling, each.size) for each in policies.values()} == {
        (policies["main"].num_frames, policies["main"].sampling, policies["main"].size)
    }
    assert policies["fragments"].grid == policies["main"].grid
    with pytest.raises(ViewStudyError, match=r"got the view set 'resise'; .* did you mean 'resize'"):
        with_view_sets(params, ["resise"], most=2)


def test_a_training_sees_the_first_views_and_is_measured_on_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = load_params(PARAMS)
    evaluate = params.evaluate.model_copy(update={"bootstrap": 100})
    params = params.model_copy(update={"distill": tiny_settings(epochs=1), "evaluate": evaluate})
    paths, seen = write_tiny_run(tmp_path / "run"), []
    trained = views.distil

    def noted(settings, *arguments, **more):
        seen.append((settings.view_set, settings.views, settings.seed))
        return trained(settings, *arguments, **more)

    monkeypatch.setattr(views, "distil", noted)
    rows = [run(params, paths, view_set="main", views=number, seed=3) for number in (1, 2)]
    assert seen == [("main", 1, 3), ("main", 2, 3)]
    assert [set(row) for row in rows] == [set(views.COLUMNS)] * 2
    assert rows[0]["train_srcc"] != rows[1]["train_srcc"] or rows[0]["srcc"] != rows[1]["srcc"]
    assert rows[0]["gap"] == pytest.approx(rows[0]["train_srcc"] - rows[0]["srcc"])


def test_the_summary_pairs_by_seed():
    rows = [
        {"view_set": name, "views": number, "seed": seed, "srcc": srcc, "train_srcc": 0.9, "gap": 0.9 - srcc}
        for name, number, seed, srcc in (
            *(("main", 1, 1, 0.60), ("main", 1, 2, 0.64), ("main", 4, 1, 0.70), ("main", 4, 2, 0.76)),
            *(("resize", 4, 1, 0.50), ("resize", 4, 2, 0.54)),
        )
    ]
    text = summary(rows)
    # Differences of 1 view: -0.10 and -0.12: mean -0.11, deviation 0.01 √2, t(0.975, 1) = 12.706.
    assert "| 1 | 2 | 0.620 [0.366, 0.874] | 0.900 | +0.280 | -0.110 [-0.237, +0.017] |" in text
    assert "| 4 | 2 | 0.730 [0.349, 1.111] | 0.900 | +0.170 |  |" in text
    assert "`resize` minus `main` at 4 views, paired over seeds: -0.210 [-0.337, -0.083]" in text
