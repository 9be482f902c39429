"""Rows of clips, targets and labels stand side by side, or the run is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cache.build import build_store
from cache.store import ArraySpec, Unit, open_store
from pipeline.core.manifest import read_labels, read_videos, write_labels, write_videos
from pipeline.students.data.alignment import AlignmentError
from pipeline.students.data.groups import NUM_GROUPS, distortion_groups
from pipeline.students.data.rows import AlignedData, DataPaths
from tests.tiny_run import CLIP_SHAPE, NUM_VIEWS, compute_by, make_videos, write_tiny_run


def test_a_batch_holds_what_each_store_has_for_its_rows(tiny_data):
    entry = tiny_data.split("val")[1]
    batch = tiny_data.batch(entry.rows, ["embedding_normed", "mos", "group"])
    assert batch.clips.shape == (NUM_VIEWS, *CLIP_SHAPE)
    np.testing.assert_array_equal(batch.clips.numpy(), tiny_data.clips.read("main", entry.rows))
    expected = tiny_data.targets.read("embedding_normed", entry.rows).astype(np.float32)
    np.testing.assert_array_equal(batch.targets["embedding_normed"].numpy(), expected)
    assert batch.labelled.all()
    assert batch.mos.tolist() == pytest.approx([entry.label.mos / 100] * NUM_VIEWS)
    assert set(batch.targets) == {"embedding_normed"}


def test_another_folder_has_the_same_names(tmp_path):
    there = DataPaths.below(tmp_path)
    assert there.labels == tmp_path / "labels.csv"
    assert DataPaths.below(Path("data")) == DataPaths()


def test_unlabelled_videos_stay_but_their_score_does_not(tiny_data):
    unlabelled = [entry for entry in tiny_data.split("train") if entry.label.content == "train2"]
    assert len(unlabelled) == 3
    batch = tiny_data.batch(np.concatenate([entry.rows for entry in unlabelled]))
    assert not batch.labelled.any()
    assert not batch.mos.any()
    assert not {entry.label.content for entry in tiny_data.split("train", labelled=True)} & {"train2"}


def test_failed_videos_are_named_and_never_read(tiny_data):
    assert tiny_data.failed == {"train0_25": "made to fail"}
    assert "train0_25" not in {entry.video.video_id for entry in tiny_data.videos}
    assert np.isnan(tiny_data.cached.whole("logits")[tiny_data.clips.rows_of("train0_25")]).all()


def test_unknown_names_are_refused_with_what_is_there(tiny_paths, tiny_data):
    with pytest.raises(AlignmentError, match="no view set 'mian'; it has main; did you mean 'main'"):
        AlignedData(tiny_paths, "mian")
    with pytest.raises(AlignmentError, match=r"no 'tokens'; they have .*; add it to extract\.kinds"):
        tiny_data.cached.whole("tokens")


def test_teacher_scores_are_on_the_unit_scale(tiny_data):
    train = tiny_data.split("train", labelled=True)
    rows = np.concatenate([entry.rows for entry in train])
    residual = tiny_data.cached.whole("teacher_score")[rows] - np.repeat([entry.unit_mos for entry in train], NUM_VIEWS)
    assert abs(residual.mean()) < 1e-3
    assert residual.std() < 0.05


def test_a_teacher_of_many_classes_has_no_score(tmp_path):
    data = AlignedData(write_tiny_run(tmp_path, logits_width=5), "main")
    with pytest.raises(AlignmentError, match="the teacher has 5 outputs"):
        data.cached.whole("teacher_score")


def other_clips(paths, change_view):
    """Clips of the same videos, of which one view of one video has other pixels."""
    old = open_store(paths.clips)

    def clips_of(unit: Unit) -> dict[str, np.ndarray]:
        pixels = old.read("main", old.rows_of(unit.video_id)).copy()
        if unit.video_id == "test1_25":
            pixels[change_view] ^= 1
        return {"main": pixels}

    spec = ArraySpec("main", "uint8", CLIP_SHAPE, ("t", "h", "w", "c"), {"policy": "other"})
    path = paths.clips.with_name("other.zarr")
    build_store(path, kind="clips", specs=[spec], units=old.units(), compute=compute_by(clips_of, {}), pool=None)
    return path


def test_targets_of_other_pixels_are_refused_row_by_row(tmp_path):
    paths = write_tiny_run(tmp_path)
    AlignedData(paths, "main")
    changed = replace(paths, clips=other_clips(paths, change_view=1))
    with pytest.raises(AlignmentError, match=r"1 of 84 rows have other pixels .* \(test1_25, view 1\); run extract"):
        AlignedData(changed, "main")


def test_other_videos_are_refused(tmp_path):
    paths = write_tiny_run(tmp_path)
    videos, labels = read_videos(paths.videos), read_labels(paths.labels)
    write_videos(paths.videos, videos[:-1])
    write_labels(paths.labels, labels[:-1])
    with pytest.raises(AlignmentError, match=f"differ in 1 videos, such as {videos[-1].video_id}"):
        AlignedData(paths, "main")


def test_rows_with_other_keys_are_refused(tiny_paths, tmp_path):
    fewer = open_store(tiny_paths.clips)

    def clips_of(unit: Unit) -> dict[str, np.ndarray]:
        return {"main": fewer.read("main", fewer.rows_of(unit.video_id))}

    spec = ArraySpec("main", "uint8", CLIP_SHAPE, ("t", "h", "w", "c"), {"policy": "fragments"})
    units = [unit for unit in fewer.units() if unit.video_id != "train0_25"]
    build_store(
        tmp_path / "clips.zarr", kind="clips", specs=[spec], units=units, compute=compute_by(clips_of, {}), pool=None
    )
    with pytest.raises(AlignmentError, match=r"clips have 82 rows and targets 84, and their keys .* differ; first at"):
        AlignedData(replace(tiny_paths, clips=tmp_path / "clips.zarr"), "main")


def test_distortion_groups_follow_the_level_within_a_codec():
    videos, labels = make_videos()
    groups = distortion_groups(videos, labels)
    by_level = {
        label.level: {groups[i] for i, other in enumerate(labels) if other.level == label.level} for label in labels
    }
    assert by_level == {"10": {0}, "25": {1}, "40": {2}}
    many = [replace(label, level=str(index), codec="h264") for index, label in enumerate(labels)]
    spread = distortion_groups(videos, many)
    assert sorted(set(spread)) == list(range(NUM_GROUPS))
    assert spread == sorted(spread)
    unknown = [replace(label, level="") for label in labels]
    assert set(distortion_groups(videos, unknown)) == {-1}
    named = [replace(label, level="low" if index % 2 else "high") for index, label in enumerate(labels)]
    assert set(distortion_groups(videos, named)) == {0, 1}
