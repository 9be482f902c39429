"""Training: repeatable to the bit, resumable, obedient to labels, choosing by validation alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from pipeline.core.manifest import read_labels, write_labels
from pipeline.core.registry import UnknownName
from pipeline.models.training import TrainingError
from pipeline.students.data.rows import AlignedData
from pipeline.students.distillation.batches import epoch_rows, prefetched
from pipeline.students.distillation.distill import ROOMS, TrainingResult, distill
from pipeline.students.distillation.projection import ProjectionError, possible_losses, with_projectors
from pipeline.students.losses.shared.weighting import weighted_losses
from pipeline.students.shared.model import create_student
from tests.pipeline.students.test_students import make_student
from tests.resuming import change, copy_of_rooms, kill
from tests.tiny_run import tiny_settings, write_tiny_run


def run(paths, scratch, **changes) -> TrainingResult:
    return distill(tiny_settings(**changes), paths, device="cpu", scratch=scratch)


def same(first: TrainingResult, second: TrainingResult) -> bool:
    weights, others = first.student.state_dict(), second.student.state_dict()
    return first.curves == second.curves and all(torch.equal(weights[name], others[name]) for name in weights)


@pytest.fixture(scope="module")
def trained(tiny_paths, tmp_path_factory) -> TrainingResult:
    return run(tiny_paths, tmp_path_factory.mktemp("scratch"), epochs=4)


def test_the_same_seed_gives_the_same_numbers_bit_for_bit(trained, tiny_paths, tmp_path):
    again = run(tiny_paths, tmp_path, epochs=4)
    assert same(trained, again)
    assert again.metrics == trained.metrics
    assert again.student.config.to_dict() == trained.student.config.to_dict()
    assert not same(trained, run(tiny_paths, tmp_path, epochs=4, seed=2))


@pytest.fixture
def another_precision():
    """accelerate keeps one precision for as long as a process lives."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("another_precision")
def test_bfloat16_trains_otherwise_but_about_as_well(trained, tiny_paths, tmp_path):
    lower = run(tiny_paths, tmp_path, epochs=4, precision="bfloat16")
    assert not same(trained, lower)
    assert {value.dtype for value in lower.student.parameters()} == {torch.float32}
    for values, others in zip(trained.curves, lower.curves, strict=True):
        assert others["train_loss"] == pytest.approx(values["train_loss"], rel=0.2)


@pytest.mark.parametrize("options", [{}, {"weight_average": 0.9, "epochs": 3, "patience": 2}])
def test_killed_and_resumed_equals_uninterrupted(tiny_paths, tmp_path, monkeypatch, capsys, options):
    dropout = {"embed_dim": 32, "depth": 2, "num_heads": 2, "pool_num_heads": 2, "head_dropout": 0.2}
    options = {"epochs": 4, "options": {"internvideo2": dropout}, **options}
    whole = run(tiny_paths, tmp_path / "whole", **options)
    kill(monkeypatch, 2, lambda: run(tiny_paths, tmp_path / "killed", **options))
    capsys.readouterr()
    resumed = run(tiny_paths, tmp_path / "killed", **options)
    assert "going on after epoch 2" in capsys.readouterr().err
    assert same(whole, resumed)
    assert resumed.metrics == whole.metrics
    assert list((tmp_path / "killed").iterdir())
    resumed.forget()
    assert not list((tmp_path / "killed").iterdir())


@pytest.mark.parametrize("room", [*ROOMS, "pipeline/students/internvideo2.py"])
def test_a_run_under_changed_code_begins_anew_and_says_which(tiny_paths, tmp_path, monkeypatch, capsys, room):
    root = copy_of_rooms(tmp_path / "code", [*ROOMS, "pipeline/students/internvideo2.py"], monkeypatch)
    kill(monkeypatch, 1, lambda: run(tiny_paths, tmp_path / "killed", epochs=2))
    kill(monkeypatch, 2, lambda: run(tiny_paths, tmp_path / "killed", epochs=2))
    assert "going on after epoch 1" in capsys.readouterr().err
    file = change(root, room)
    kill(monkeypatch, 1, lambda: run(tiny_paths, tmp_path / "killed", epochs=2))
    shown = capsys.readouterr().err
    assert "distill: the training begins anew: the nearest unfinished training" in shown
    assert f"differs in the code of {file}\n" in shown


def test_another_run_is_never_resumed(tiny_paths, tmp_path, capsys):
    run(tiny_paths, tmp_path, epochs=1)
    run(tiny_paths, tmp_path, epochs=1, learning_rate=0.002)
    shown = capsys.readouterr().err
    assert "going on" not in shown
    assert "differs in distill.learning_rate\n" in shown
    resplit = {"train0": "val", "val0": "train"}
    labels = [replace(row, split=resplit.get(row.content, row.split)) for row in read_labels(tiny_paths.labels)]
    assert labels != read_labels(tiny_paths.labels)
    write_labels(tmp_path / "labels.csv", labels)
    run(replace(tiny_paths, labels=tmp_path / "labels.csv"), tmp_path, epochs=1)
    assert "going on" not in capsys.readouterr().err


def test_best_epoch_is_the_one_that_validated_best(trained):
    best = max(trained.curves, key=lambda row: row["val_srcc"])
    assert trained.metrics["val_srcc"] == best["val_srcc"]
    assert trained.metrics["best_epoch"] == best["epoch"]
    assert [row["epoch"] for row in trained.curves] == [1, 2, 3, 4]
    assert set(trained.curves[0]) == {
        *("epoch", "learning_rate", "train_loss", "mos_regression_loss"),
        *("feature_smoothl1_loss", "val_loss", "val_srcc"),
    }


def test_the_test_split_changes_nothing(trained, tiny_paths, tmp_path):
    labels = read_labels(tiny_paths.labels)
    turned = [replace(row, mos=100.0 - (row.mos or 0)) if row.split == "test" else row for row in labels]
    write_labels(tmp_path / "labels.csv", turned)
    assert same(trained, run(replace(tiny_paths, labels=tmp_path / "labels.csv"), tmp_path, epochs=4))


def test_the_score_of_an_unlabelled_video_changes_nothing(trained, tiny_paths, tmp_path):
    labels = read_labels(tiny_paths.labels)
    turned = [replace(row, mos=None) if not row.labelled else row for row in labels]
    assert turned != labels
    write_labels(tmp_path / "labels.csv", turned)
    assert same(trained, run(replace(tiny_paths, labels=tmp_path / "labels.csv"), tmp_path, epochs=4))


def test_unlabelled_videos_teach_only_through_losses_that_need_no_score(trained, tiny_paths, tmp_path):
    assert trained.metrics["train_videos"] == 23
    assert trained.metrics["labelled_train_videos"] == 20
    assert trained.metrics["failed_videos"] == 1
    alone = run(tiny_paths, tmp_path, epochs=1, losses={"mos_regression": 1.0, "feature_smoothl1": 0.0})
    assert alone.metrics["train_videos"] == 20


def test_learns_from_teacher_scores_without_any_opinion_on_most_videos(tmp_path):
    contents = [f"train{index}" for index in range(1, 8)]
    paths = write_tiny_run(tmp_path, unlabelled=contents)
    result = run(paths, tmp_path, losses={"teacher_score": 1.0, "feature_smoothl1": 1.0})
    assert result.metrics["labelled_train_videos"] == 3
    assert result.metrics["train_videos"] == 24
    assert result.curves[-1]["train_loss"] < result.curves[0]["train_loss"]


def test_records_what_it_was_made_from_and_what_its_scores_mean(trained, tiny_paths):
    config, data = trained.student.config, AlignedData(tiny_paths, "main")
    stores = {"clips": data.clips.digest(), "targets": data.targets.digest()}
    assert config.provenance["digests"] == data.digests() == stores | {"labels": data.digests()["labels"]}
    assert config.view == {"policy": "fragments"}
    calibration = trained.student.calibration()
    assert (calibration.dataset, calibration.scale_low, calibration.scale_high) == ("embedded", 0.0, 100.0)
    assert config.scales["embedded"]["score_name"] == "pseudo-MOS"


def test_every_loss_trains_at_once_and_projectors_are_dropped(tiny_paths, tmp_path):
    names = ["layers", "relational", "group_contrastive", "group_ranking", "ranking", "plcc", "cosine", "teacher_score"]
    losses = dict.fromkeys([*names, "mos_regression", "feature_smoothl1"], 0.1)
    small = {"embed_dim": 16, "depth": 2, "num_heads": 2, "pool_num_heads": 2}
    result = run(tiny_paths, tmp_path, epochs=1, losses=losses, options={"internvideo2": small})
    assert all(np.isfinite(value) for value in result.curves[0].values())
    assert not any("projector" in name for name in result.student.state_dict() if "clip_projector" not in name)


def test_projectors_are_made_where_widths_differ():
    options = {"embed_dim": 16, "depth": 2, "num_heads": 2, "pool_num_heads": 2}
    student = create_student("internvideo2", options, target_dim=32, clip_shape=(4, 28, 28, 3))
    shapes = {"embedding_normed": (32,), "layers": (2, 24)}
    assert set(with_projectors(student, ["embedding_normed"], shapes).projectors) == set()
    wider = with_projectors(student, ["embedding_normed", "layers"], {"embedding_normed": (48,), "layers": (2, 24)})
    output = wider(torch.zeros(1, 4, 28, 28, 3, dtype=torch.uint8))
    assert output.compared.shape == (1, 48)
    assert torch.equal(output.embedding, student(torch.zeros(1, 4, 28, 28, 3, dtype=torch.uint8)).embedding)
    assert output.layers.shape == (1, 2, 24)
    assert set(with_projectors(student, ["tokens"], {"tokens": (2, 1, 1, 24)}).projectors) == {"tokens"}
    with pytest.raises(ProjectionError, match="3 cached blocks to match; the student 'internvideo2' has 2"):
        with_projectors(student, ["layers"], {"layers": (3, 24)})


def test_losses_that_a_student_has_nothing_for_are_left_out_and_named(capsys):
    weights = {"tokens": 0.1, "layers": 0.5, "mos_regression": 1.0, "plcc": 0.0}
    for name, lacking in (("swinv2_c2f", {"tokens"}), ("fragments", {"layers"}), ("internvideo2", set())):
        student = make_student(name)
        assert possible_losses(student, weights) == {
            loss: weight for loss, weight in weights.items() if weight and loss not in lacking
        }
        told = capsys.readouterr().err
        assert all(f"the loss '{loss}' is left out: the student '{name}' has no {loss}" in told for loss in lacking)
        assert bool(told) == bool(lacking)
    with pytest.raises(UnknownName, match="did you mean 'plcc'"):
        possible_losses(make_student("fragments"), {"plc": 0.0})


def test_what_was_trained_with_is_recorded(trained):
    assert trained.student.config.provenance["losses"] == {"mos_regression": 1.0, "feature_smoothl1": 1.0}


def test_patience_stops_early(tiny_paths, tmp_path):
    result = run(tiny_paths, tmp_path, epochs=30, learning_rate=1e-9, patience=1)
    assert len(result.curves) < 30


@pytest.mark.parametrize(
    ("losses", "unlabelled", "message"),
    [
        ({"mos_regression": 0.0}, [], "every weight in distill.losses is 0"),
        ({"mos_regression": 1.0}, [f"train{index}" for index in range(8)], "0 labelled training videos"),
        ({"feature_smoothl1": 1.0}, [f"val{index}" for index in range(3)], "fewer than 2 labelled validation videos"),
    ],
)
def test_nothing_to_learn_from_is_refused(tmp_path, losses, unlabelled, message):
    with pytest.raises(TrainingError, match=message):
        run(write_tiny_run(tmp_path, unlabelled=unlabelled), tmp_path, losses=losses)


def test_a_loss_that_explodes_is_refused(tiny_paths, tmp_path):
    with pytest.raises(TrainingError, match="lower distill.learning_rate"):
        run(tiny_paths, tmp_path, epochs=5, learning_rate=1e30)


def test_step_times_are_split_into_waiting_and_computing(trained):
    rows = trained.step_times.rows()
    assert [row["part"] for row in rows] == ["data wait", "compute"]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0, abs=1e-3)
    assert len(trained.step_times.compute) == 4 * 3


def test_prefetched_batches_come_in_order_and_are_shared_between_processes(tiny_data):
    rows = np.concatenate([entry.rows for entry in tiny_data.split("val")])
    parts = np.split(rows, [5, 10, 15])
    needs = weighted_losses({"feature_smoothl1": 1.0}).needs
    whole = list(prefetched(tiny_data, parts, needs))
    assert [len(batch.clips) for batch in whole] == [5, 5, 5, 3]
    for batch, part in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(batch.clips.numpy(), tiny_data.clips.read("main", part))
    second = next(iter(prefetched(tiny_data, parts, needs, process=(1, 2))))
    assert torch.equal(second.clips, whole[0].clips[1::2])
    assert list(prefetched(tiny_data, [], needs)) == []


def test_an_epoch_is_equally_long_however_few_videos_there_are(tiny_data):
    videos = tiny_data.split("train")[:3]
    rows = epoch_rows(videos, 8, np.random.Generator(np.random.PCG64(1)))
    of_video = {int(row): number for number, entry in enumerate(videos) for row in entry.rows}
    shown = [of_video[int(row)] for row in rows]
    assert sorted(shown[:3]) == sorted(shown[3:6]) == [0, 1, 2]
    assert len(set(shown[6:])) == 2
    many = epoch_rows(videos, 3000, np.random.Generator(np.random.PCG64(1)))
    assert set(many.tolist()) == set(of_video)
