"""Baselines: what they predict from, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.agreement import srcc
from pipeline.core.manifest import read_labels, write_labels
from pipeline.core.registry import find, names
from pipeline.evaluation.baselines.baseline import embeddings
from pipeline.evaluation.baselines.bits_per_pixel import log_bits_per_pixel
from pipeline.evaluation.baselines.crf_codec import levels_by_codec
from pipeline.evaluation.baselines.shared.fitting import BaselineError, least_squares, ridge
from pipeline.evaluation.fit_baselines import BASELINES, baselines
from pipeline.students.data.rows import AlignedData
from pipeline.students.shared.clip_statistics import clip_statistics
from tests.tiny_run import write_tiny_run


def unit_mos(entries) -> np.ndarray:
    return np.array([entry.unit_mos for entry in entries])


@pytest.mark.parametrize("name", names(BASELINES))
def test_every_baseline_of_the_folder_keeps_the_contract(tiny_data, tiny_paths, name):
    train, test = tiny_data.split("train", labelled=True), tiny_data.split("test")
    root = tiny_paths.videos.parent
    scores = find(BASELINES, name).predict(train, test, tiny_data, root)
    assert scores.dtype == np.float64
    assert scores.shape == (len(test),)
    assert np.isfinite(scores).all()
    blind = [replace(entry, label=replace(entry.label, mos=None)) for entry in test]
    np.testing.assert_array_equal(find(BASELINES, name).predict(train, blind, tiny_data, root), scores)


def test_every_baseline_predicts_every_video(tiny_data, tiny_paths):
    test = tiny_data.split("test")
    found = baselines(tiny_data, test, tiny_paths.videos.parent)
    assert set(found) == {"mean", "bits_per_pixel", "hand_features", "crf_codec", "baseline"}
    for name in set(found) - {"mean"}:
        assert srcc(found[name], unit_mos(test)) > 0.8, name
    train = tiny_data.split("train", labelled=True)
    np.testing.assert_allclose(found["mean"], unit_mos(train).mean())


def test_scores_of_the_test_split_change_no_prediction(tiny_data, tiny_paths, tmp_path):
    labels = read_labels(tiny_paths.labels)
    turned = [replace(row, mos=100.0 - (row.mos or 0)) if row.split == "test" else row for row in labels]
    assert turned != labels
    write_labels(tmp_path / "labels.csv", turned)
    blind = AlignedData(replace(tiny_paths, labels=tmp_path / "labels.csv"), "main")
    root = tiny_paths.labels.parent
    before, after = (baselines(data, data.split("test"), root) for data in (tiny_data, blind))
    assert before.keys() == after.keys()
    for name, scores in before.items():
        np.testing.assert_array_equal(scores, after[name], err_msg=name)


def test_what_the_data_do_not_have_is_left_out(tiny_data, tiny_paths, tmp_path):
    labels = [replace(row, level="high") for row in read_labels(tiny_paths.labels)]
    write_labels(tmp_path / "labels.csv", labels)
    data = AlignedData(replace(tiny_paths, labels=tmp_path / "labels.csv"), "main")
    found = baselines(data, data.split("test"), tiny_paths.videos.parent)
    assert set(found) == {"mean", "bits_per_pixel", "hand_features", "baseline"}


def test_embeddings_are_means_over_views(tiny_data):
    entry = tiny_data.split("test")[0]
    expected = tiny_data.targets.read("embedding_normed", entry.rows).astype(np.float32).astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(embeddings(tiny_data, [entry]), expected[None])


def test_without_labels_baselines_are_refused(tmp_path):
    data = AlignedData(write_tiny_run(tmp_path, unlabelled=[f"train{index}" for index in range(8)]), "main")
    with pytest.raises(BaselineError, match="0 labelled training videos"):
        baselines(data, data.split("test"), tmp_path / "data")


def test_ridge_by_hand_recovers_a_line():
    x = np.arange(20.0)[:, None]
    np.testing.assert_allclose(ridge(x, 3 * x[:, 0] + 1, np.array([[30.0]])), [91.0], atol=0.1)


def test_bits_per_pixel_by_hand(tiny_data, tiny_paths):
    entry = tiny_data.split("test")[0]
    expected = np.log(8 * 10_000 / (64 * 64 * 50))
    np.testing.assert_allclose(log_bits_per_pixel([entry], tiny_paths.videos.parent), [[1.0, expected]])
    unknown = replace(entry, video=replace(entry.video, num_frames=None))
    assert log_bits_per_pixel([entry, unknown], tiny_paths.videos.parent) is None
    missing = replace(entry, video=replace(entry.video, path="videos/none.mp4"))
    with pytest.raises(BaselineError, match=r"needs the size of videos/none\.mp4"):
        log_bits_per_pixel([missing], tiny_paths.videos.parent)


def test_crf_and_codec_by_hand(tiny_data):
    entry = tiny_data.split("test")[0]
    h264 = replace(entry, label=replace(entry.label, codec="h264", level="30"))
    unseen = replace(entry, label=replace(entry.label, codec="vvc", level="20"))
    rows = levels_by_codec([h264, unseen], ["av1", "h264"])
    assert rows.tolist() == [[1, 30, 0, 0, 1, 30], [1, 20, 0, 0, 0, 0]]
    assert levels_by_codec([replace(entry, label=replace(entry.label, level="high"))], ["av1"]) is None
    train = np.array([[1.0, 10.0], [1.0, 20.0]])
    np.testing.assert_allclose(least_squares(train, np.array([0.8, 0.6]), np.array([[1.0, 15.0]])), [0.7])


def test_hand_features_see_blocks_and_motion():
    flat = np.full((4, 32, 32, 3), 100, np.uint8)
    blocky = flat.copy()
    blocky[:, :, 8:16] = 130
    moving = flat.copy()
    moving[::2] += 10
    base, blocks, motion = (clip_statistics(clip) for clip in (flat, blocky, moving))
    assert base.shape == (69,)
    assert base[64] == pytest.approx(100, abs=0.1)
    assert blocks[-2] > base[-2] + 10
    assert motion[-1] == pytest.approx(10, abs=0.1)
    assert np.isfinite(clip_statistics(flat[:1])).all()
