"""The test split, scored once."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.manifest import read_labels, read_scales, read_videos, write_labels, write_scales, write_videos
from pipeline.evaluation.evaluate import EvaluationError, evaluate
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.evaluation.tables import baseline_rows, detail_rows, difference_rows, prediction_rows, summary
from pipeline.students.distillation.distill import distill
from pipeline.students.shared.calibration import view_variance
from pipeline.students.shared.domain import Domain, video_vector
from pipeline.students.shared.model import load_student
from pipeline.students.shared.prediction import fit_calibrations, predict_videos
from tests.tiny_run import tiny_settings, write_tiny_run

SETTINGS = EvaluateSettings(bootstrap=100, seed=1)
KEYS = {"srcc", "srcc_low", "srcc_high", "krcc", "plcc_raw", "plcc_logistic4", "rmse_raw", "rmse_logistic4"}


@pytest.fixture(scope="module")
def student_folder(tiny_paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    result = distill(tiny_settings(epochs=2), tiny_paths, device="cpu", scratch=tmp_path_factory.mktemp("scratch"))
    result.student.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def evaluation(tiny_paths, student_folder):
    return evaluate(SETTINGS, tiny_paths, student_folder, device="cpu")


def test_every_predictor_has_every_metric_as_a_number(evaluation):
    expected = {"student", "teacher", "mean", "bits_per_pixel", "hand_features", "crf_codec", "baseline"}
    assert set(evaluation.metrics) == expected
    for name, scores in evaluation.metrics.items():
        assert scores.keys() == (KEYS | {"interval_coverage", "interval_width"} if name == "student" else KEYS)
        assert all(isinstance(value, float) and np.isfinite(value) for value in scores.values())
    assert evaluation.metrics["teacher"]["srcc"] > 0.8


def test_again_gives_the_same_numbers(evaluation, tiny_paths, student_folder):
    again = evaluate(SETTINGS, tiny_paths, student_folder, device="cpu")
    assert again.metrics == evaluation.metrics
    assert prediction_rows(again) == prediction_rows(evaluation)


def test_predictions_are_calibrated_means_over_views(evaluation, tiny_data, student_folder):
    rows = prediction_rows(evaluation)
    assert list(rows[0]) == ["video_id", "mos", "teacher", "student"]
    assert [row["video_id"] for row in rows] == sorted(row["video_id"] for row in rows)
    assert all(str(row["video_id"]).startswith("test") for row in rows)
    student, entry = load_student(student_folder), tiny_data.split("test")[0]
    raw = student(tiny_data.batch(entry.rows).clips).score.detach().double().mean().numpy()
    assert rows[0]["student"] == pytest.approx(float(student.calibration()(raw)), abs=1e-4)


def test_the_summary_is_a_few_of_the_metrics(evaluation, student_folder):
    metrics = evaluation.metrics
    assert summary(evaluation) == {
        "student": metrics["student"]["srcc"],
        "teacher": metrics["teacher"]["srcc"],
        "hand_features": metrics["hand_features"]["srcc"],
        "coverage": metrics["student"]["interval_coverage"],
        "parameters": sum(weight.numel() for weight in load_student(student_folder).parameters()),
    }


def test_details_are_what_a_scorer_would_say(evaluation, tiny_paths, tiny_data, student_folder):
    student = load_student(student_folder)
    fit, domain = student.calibration(), Domain.from_dict(student.config.domain)
    inside = []
    for row, entry in zip(detail_rows(evaluation, tiny_paths.videos.parent), evaluation.entries, strict=True):
        output = student(tiny_data.batch(entry.rows).clips)
        raw = output.score.detach().double().numpy()
        low, high = fit.interval(float(fit(raw.mean())), view_variance(fit(raw)))
        assert (row["low"], row["high"]) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))
        clips = tiny_data.batch(entry.rows).clips.numpy()
        distance = domain.distance(video_vector(output.embedding.detach().numpy(), clips)[None])[0]
        assert row["out_of_domain"] == int(distance > domain.threshold)
        size = 12_000 - 200 * int(entry.label.level)
        assert row["kilobits_per_second"] == pytest.approx(size * 8 * 25 / 50 / 1000)
        assert row["model"] == student.digest()
        inside.append(row["low"] <= entry.label.mos <= row["high"])
    assert evaluation.metrics["student"]["interval_coverage"] == np.mean(inside)


def test_a_videos_prediction_does_not_depend_on_the_others(tiny_data, student_folder):
    student, entries = load_student(student_folder), tiny_data.split("test")
    together = predict_videos(student, tiny_data, entries, description="all")
    alone = [predict_videos(student, tiny_data, [entry], description="one")[0] for entry in entries]
    assert together.tolist() == alone


def test_tables_for_the_report(evaluation):
    assert next(iter(baseline_rows(evaluation)[0])) == "video_id"
    assert len(baseline_rows(evaluation)) == 9
    differences = {row["predictor"]: row for row in difference_rows(evaluation)}
    assert set(differences) == {"teacher", "bits_per_pixel", "hand_features", "crf_codec", "baseline"}
    student, teacher = (evaluation.metrics[name]["srcc"] for name in ("student", "teacher"))
    assert differences["teacher"]["srcc_difference"] == pytest.approx(student - teacher)


def test_a_teacher_of_many_classes_is_left_out(tmp_path, student_folder):
    paths = write_tiny_run(tmp_path, logits_width=3)
    result = evaluate(SETTINGS, paths, student_folder, device="cpu")
    assert "teacher" not in result.metrics
    assert "teacher" not in summary(result)
    assert {row["teacher"] for row in prediction_rows(result)} == {""}


def test_several_data_sets_keep_their_own_scales(tiny_paths, tmp_path):
    videos, labels = read_videos(tiny_paths.videos), read_labels(tiny_paths.labels)
    second = {label.video_id for label in labels if label.codec == "av1"}
    paths = replace(tiny_paths, labels=tmp_path / "l.csv", scales=tmp_path / "s.json", videos=tmp_path / "v.csv")
    write_videos(
        paths.videos, [replace(row, dataset="five" if row.video_id in second else row.dataset) for row in videos]
    )
    write_labels(
        paths.labels,
        [replace(row, mos=1 + (row.mos or 0) / 25 if row.video_id in second else row.mos) for row in labels],
    )
    scale = read_scales(tiny_paths.scales)["embedded"]
    write_scales(paths.scales, {"embedded": scale, "five": replace(scale, low=1.0, high=5.0)})
    for video in read_videos(paths.videos):
        (tmp_path / video.path).parent.mkdir(exist_ok=True)
        (tmp_path / video.path).write_bytes((tiny_paths.videos.parent / video.path).read_bytes())
    result = distill(tiny_settings(epochs=1), paths, device="cpu", scratch=tmp_path / "scratch")
    result.student.save_pretrained(tmp_path / "student")
    assert set(result.student.calibrations()) == {"embedded", "five"}
    found = evaluate(SETTINGS, paths, tmp_path / "student", device="cpu")
    for entry, value in zip(found.entries, found.predictions["baseline"], strict=True):
        assert (value < 6) == (entry.video.dataset == "five")
    assert found.metrics["baseline"]["srcc"] > 0.8


def test_a_student_of_other_clips_is_refused(tiny_paths, student_folder, tmp_path):
    student = load_student(student_folder)
    student.config.view = {"policy": "resize"}
    student.save_pretrained(tmp_path)
    with pytest.raises(EvaluationError, match="clips made in another way: policy differ"):
        evaluate(SETTINGS, tiny_paths, tmp_path, device="cpu")


def test_no_scored_test_video_is_refused(tiny_paths, student_folder, tmp_path):
    labels = [replace(row, mos=None) if row.split == "test" else row for row in read_labels(tiny_paths.labels)]
    write_labels(tmp_path / "labels.csv", labels)
    with pytest.raises(EvaluationError, match="0 test videos have a score"):
        evaluate(SETTINGS, replace(tiny_paths, labels=tmp_path / "labels.csv"), student_folder, device="cpu")


def test_a_calibration_per_data_set_uses_validation_videos_only(tiny_data):
    entries = tiny_data.split("val", labelled=True)
    fits = fit_calibrations(entries, np.array([entry.unit_mos for entry in entries]))
    assert fits["embedded"].num_videos == len(entries)
