"""Each published data set, read from rows of its publisher's own label files: every fault that descriptions hid."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from pipeline.core import registry
from pipeline.preparation.datasets import vsfa_info
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry
from tests.pipeline.preparation.datasets.published import EXAMPLES, EXCERPTS, cells, excerpt, files, raw, video, write


def entries(root: Path, name: str, **options: Any) -> dict[str, Entry]:
    """The data set's example, collected, by ``video_id``."""
    folder = root / "raw" / name
    folder.mkdir(parents=True, exist_ok=True)
    return collected(root, name, **{**EXAMPLES[name](folder), **options})


def collected(root: Path, name: str, **options: Any) -> dict[str, Entry]:
    module = registry.find("preparation.datasets", name)
    found = module.collect(module.Settings.parse(options, "here"), root, 1, None)
    return {entry.video_id: entry for entry in found}


def tables(root: Path, name: str, **options: Any) -> list[str]:
    module = registry.find("preparation.datasets", name)
    return module.survey(module.Settings.parse(options, "here"), root).tables


def test_cvd2014_has_semicolons_decimal_commas_and_rows_of_nothing(tmp_path: Path) -> None:
    found = entries(tmp_path, "cvd2014")
    assert len(found) == 12
    first = found["Test01_City_D01"]
    assert (first.mos, first.content, first.scores) == (67.29, "City", {"original": 71.17})
    head = found["Test01_Talking_Head_D05"]
    assert (head.mos, head.path) == (35.10, "raw/cvd2014/Test1/Talking_head/Test01_Talking_Head_D05.avi")
    assert tables(tmp_path, "cvd2014") == [
        "Realignment_MOS.csv: 12 rows; semicolons between columns, UTF-8, CRLF, decimal commas"
    ]
    assert entries(tmp_path, "cvd2014", score="original")["Test01_City_D01"].mos == 71.17


def test_cvd2014_finds_the_names_whose_capitals_differ(tmp_path: Path) -> None:
    folder = tmp_path / "raw/cvd2014"
    EXAMPLES["cvd2014"](folder)
    (folder / "Test1/Talking_head/Test01_Talking_Head_D05.avi").rename(
        folder / "Test1/Talking_head/Test01_Talking_head_D05.avi"
    )
    found = collected(tmp_path, "cvd2014")["Test01_Talking_Head_D05"]
    assert (found.mos, found.path.rpartition("/")[2]) == (35.10, "Test01_Talking_head_D05.avi")


def test_kvq_numbers_begin_anew_and_seven_are_one_upload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = entries(tmp_path, "kvq")
    assert len(found) == 18
    assert (found["train/0001"].mos, found["val/0001"].mos) == (3.361111111, 3.638888889)
    assert found["val/0001"].path == "raw/kvq/val_video/0001.mp4"
    contents = Counter(entry.content for entry in found.values())
    assert contents == {"train/000": 7, "train/001": 7, "train/002": 1, "val/000": 3}
    assert found["train/0007"].content != found["train/0008"].content
    # Without scores the test split is left out; then the publisher's validation videos are tested.
    assert {entry.split for name, entry in found.items() if name.startswith("val/")} == {"test"}
    assert {entry.split for name, entry in found.items() if name.startswith("train/")} == {None}
    assert "test_data.csv has no scores, so these 3 videos are left out" in capsys.readouterr().err


def test_kvq_with_scores_of_its_test_split_keeps_all_three(tmp_path: Path) -> None:
    folder = tmp_path / "raw/kvq"
    EXAMPLES["kvq"](folder)
    write(folder / "test_data.csv", ["filename,score", "test/0001.mp4,2.5"])
    video(folder / "test_video/0001.mp4", seed=40)
    found = collected(tmp_path, "kvq")
    assert [found[f"{split}/0001"].split for split in ("train", "val", "test")] == ["train", "val", "test"]


def test_kvq_looks_for_a_bare_name_in_its_own_split_only(tmp_path: Path) -> None:
    folder = tmp_path / "raw/kvq"
    EXAMPLES["kvq"](folder)
    (folder / "val_video/0001.mp4").unlink()
    with pytest.raises(DatasetError, match=r"truth.csv, row 2: no file val_video/0001.mp4"):
        collected(tmp_path, "kvq")


def test_kvq_in_the_lists_that_the_publishers_code_reads(tmp_path: Path) -> None:
    folder = tmp_path / "raw/kvq"
    files(folder, [f"{split}_video/0001.mp4" for split in ("train", "val")])
    write(folder / "a.txt", ["0001.mp4,3,2,3.5"])
    write(folder / "b.txt", ["0001.mp4,1,1,2.25"])
    found = collected(tmp_path, "kvq", tables={"train": "a.txt", "val": "b.txt"})
    assert {name: entry.mos for name, entry in found.items()} == {"train/0001": 3.5, "val/0001": 2.25}


def test_youtube_ugc_as_the_publisher_and_as_matlab_name_its_columns(tmp_path: Path) -> None:
    found = entries(tmp_path, "youtube_ugc")
    first = found["Animation_1080P-01b3"]
    assert (first.mos, first.scores) == (3.649, {"chunk00": 3.604, "chunk05": 3.721, "chunk10": 3.338})
    assert first.path == "raw/youtube_ugc/original_videos/Animation/1080P/Animation_1080P-01b3.mkv"
    (tmp_path / "raw/youtube_ugc/original_videos_MOS.csv").unlink()
    excerpt(tmp_path / "raw/youtube_ugc", "youtube_ugc/YOUTUBE_UGC_metadata.csv")
    assert collected(tmp_path, "youtube_ugc") == {
        name: vars_with(entry, where=entry.where.replace("original_videos_MOS", "YOUTUBE_UGC_metadata"))
        for name, entry in found.items()
    }


def vars_with(entry: Entry, **changed: Any) -> Entry:
    return Entry(**{**vars(entry), **changed})


def test_lsvq_keeps_a_name_that_ends_in_mp4_and_leaves_broken_clips_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = entries(tmp_path, "lsvq")
    odd = found["ia-batch5/fanboatfilm6bbrace.mp4"]
    assert (odd.mos, odd.path) == (57.38461538, "raw/lsvq/ia-batch5/fanboatfilm6bbrace.mp4.mp4")
    assert found["yfcc-batch1/722"].mos == 78.7741935483871
    folder = tmp_path / "raw/lsvq"
    lines = (folder / "labels_train_test.csv").read_text().splitlines()
    write(folder / "labels_train_test.csv", [line.replace(",86,", ",7,") for line in lines])
    assert len(collected(tmp_path, "lsvq", test="both")) == len(found) - 1
    assert "1 clips of fewer than 24 frames are left out" in capsys.readouterr().err


def test_lsvq_without_the_column_that_copies_have_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries(tmp_path, "lsvq")
    excerpt(tmp_path / "raw/lsvq", "lsvq/labels_train_test.csv")
    assert {entry.split for entry in collected(tmp_path, "lsvq").values()} == {None}
    assert "has no column is_test, so its test videos are drawn" in capsys.readouterr().err


def test_konvid_1k_in_each_of_its_publications(tmp_path: Path) -> None:
    found = entries(tmp_path, "konvid_1k")
    assert {name: entry.mos for name, entry in found.items()} == {
        "8536919744": 1.22,
        "6408325533": 1.26,
        "8483400755": 1.46,
        "5319047612": 1.3469,
        "8724380666": 1.4,
        "4744073127": 1.42,
    }
    folder = tmp_path / "raw/konvid_1k"
    names = [f"{name}_cut_centercrop_960x540_8s.mp4" for name in found]
    (folder / "KoNViD_1k_attributes.csv").unlink()
    scores = np.array([[entry.mos for entry in found.values()]])
    savemat(folder / "KoNViD-1kinfo.mat", {"video_names": cells(names), "scores": scores})
    assert {n: e.mos for n, e in collected(tmp_path, "konvid_1k").items()} == {n: e.mos for n, e in found.items()}
    excerpt(folder, "konvid_1k/KoNViD_1k_mos.csv")
    for number in (3339962845, 8171831850, 6076608135, 8751538577):
        shutil.copyfile(folder / "KoNViD_1k_videos/8483400755.mp4", folder / f"KoNViD_1k_videos/{number}.mp4")
    quoted = collected(tmp_path, "konvid_1k")
    assert quoted["8171831850"].mos == 4.444029851
    assert "quoted" in tables(tmp_path, "konvid_1k")[0]


@pytest.mark.parametrize(
    ("protocol", "count", "boundaries"),
    [
        ("vsfa", 1200, (721, 960)),
        ("vsfa", 234, (141, 188)),
        ("mdtvsfa", 234, (140, 187)),
        ("mdtvsfa", 1200, (720, 960)),
    ],
)
def test_vsfa_and_mdtvsfa_divide_as_their_own_code_does(
    protocol: str, count: int, boundaries: tuple[int, int], tmp_path: Path
) -> None:
    """Their numbers, for KoNViD-1k's 1200 and CVD2014's 234 videos, are those of floating point."""
    splits = vsfa_info._splits(np.arange(1, count + 1)[None], 0, protocol, None)
    counts = Counter(splits.values())
    assert (counts["train"], counts["train"] + counts["val"]) == boundaries


def test_vsfa_finds_todays_files_by_the_number_in_the_old_names(tmp_path: Path) -> None:
    folder = tmp_path / "raw/vsfa_info"
    video(folder / "8536919744.mp4")
    with h5py.File(folder / "info.mat", "w", userblock_size=512) as file:
        file["scores"], file["ref_ids"] = np.array([[1.22]]), np.array([[1.0]])
        name = "8536919744_original_centercrop_960x540_8s.mp4".encode("utf-16-le")
        reference = file.create_dataset("#refs#/a", data=np.frombuffer(name, "<u2").reshape(-1, 1)).ref
        file.create_dataset("video_names", data=np.array([[reference]], h5py.ref_dtype), dtype=h5py.ref_dtype)
    found = collected(tmp_path, "vsfa_info", labels="info.mat", low=1.0, high=5.0)
    assert found["8536919744"].path == "raw/vsfa_info/8536919744.mp4"


def test_waterloo_with_and_without_a_header_and_raw_video(tmp_path: Path) -> None:
    found = entries(tmp_path, "waterloo_ivc_4k")
    first = found["H264_01_540p_1"]
    assert (first.mos, first.codec, first.level, first.split) == (18.41, "h264", "1", "test")
    folder = tmp_path / "raw/waterloo_ivc_4k"
    write(folder / "scores.txt", ["HEVC, 5, 540p, 1, 18.21"])
    raw(folder / "HEVC_5_540p_1.yuv", width=960, height=540)
    (entry,) = collected(tmp_path, "waterloo_ivc_4k").values()
    assert (entry.raw.width, entry.raw.height, entry.mos, entry.split) == (960, 540, 18.21, None)


def test_koniq10k_has_a_split_and_two_scores(tmp_path: Path) -> None:
    found = entries(tmp_path, "koniq10k")
    first = found["10004473376"]
    assert first.mos == pytest.approx(3.8286, abs=1e-3)
    assert (first.scores, first.split) == ({"zscore": 77.3836206897}, "train")
    assert found["10007357496"].split == "test"
    (tmp_path / "raw/koniq10k/koniq10k_scores_and_distributions.csv").unlink()
    assert collected(tmp_path, "koniq10k", score="zscore")["10004473376"].mos == 77.3836206897
    with pytest.raises(DatasetError, match="has not the score 'overall'; get koniq10k_scores.*score: zscore"):
        collected(tmp_path, "koniq10k")


def test_live_iqa_takes_the_realigned_scores_unless_it_is_set(tmp_path: Path) -> None:
    assert entries(tmp_path, "live_iqa")["jp2k_001"].mos == 70.0
    with pytest.raises(DatasetError, match=r"has no dmos.mat"):
        collected(tmp_path, "live_iqa", score="first_release", images={"jp2k": 3, "jpeg": 2})
    with pytest.raises(DatasetError, match=r"score: got 'dmos'; known: overall, first_release"):
        collected(tmp_path, "live_iqa", score="dmos")


def test_lists_with_unknown_scores_and_with_several(tmp_path: Path) -> None:
    folder = tmp_path / "raw/labels_txt"
    files(folder, ["A0000_10_00.bmp", "0000.mp4"])
    write(folder / "labels.txt", ["A0000_10_00.bmp, -1, -1, -1"])
    scale = {"low": 1.0, "high": 5.0}
    with pytest.raises(DatasetError, match=r"row 1: no score; set prepare.options.labels_txt.unscored: keep"):
        collected(tmp_path, "labels_txt", **scale)
    (unknown,) = collected(tmp_path, "labels_txt", unscored="keep", **scale).values()
    assert unknown.mos is None
    excerpt(folder, "maxwell/val_labels.txt", "labels.txt")
    files(folder, ["0000.mp4", "0012.mp4", "0014.mp4", "0015.mp4"])
    columns = ["path", "technical", "aesthetic", "overall"]
    found = collected(tmp_path, "labels_txt", columns=columns, **scale)["0000"]
    assert (found.mos, found.scores) == (1.028571429, {"technical": 1.114285714, "aesthetic": 1.057142857})
    assert collected(tmp_path, "labels_txt", columns=columns, score="technical", **scale)["0000"].mos == 1.114285714


def test_live_qualcomms_structs_scenes_and_distortions(tmp_path: Path) -> None:
    found = entries(tmp_path, "live_qualcomm")
    tree = found["0723_ManUnderTree_GS5_03_20150723_130016"]
    assert (tree.mos, tree.codec, tree.scores) == (52.56657483, "artifacts", {"biased": 59.07210877})
    assert {entry.content for entry in found.values()} == {"0723_manundertree", "0912_cheerleader1", "0911nightscene"}
    assert found["0912_Cheerleader1_iphone_IMG_0184"].path.startswith("raw/live_qualcomm/Sharpness/")


def test_maxwells_lists_and_its_tables_without_names_belong_together(tmp_path: Path) -> None:
    found = entries(tmp_path, "maxwell")
    first = found["0000"]
    assert (first.mos, first.split, first.scores["technical"]) == (1.028571429, "test", 1.114285714)
    assert (first.scores["content_axis"], first.scores["fluency_axis"]) == (-0.942857143, -0.742857143)
    assert len(first.scores) == 15
    assert found["0001"].scores.keys() == {"technical", "aesthetic"}
    assert entries(tmp_path, "maxwell", score="aesthetic")["0000"].mos == 1.057142857
    lines = (EXCERPTS / "maxwell/MaxWell_val.csv").read_text().splitlines()
    write(tmp_path / "raw/maxwell/MaxWell_val.csv", lines[:-1])
    with pytest.raises(DatasetError, match=r"val_labels.txt has 4 rows, MaxWell_val.csv 3; expected as many"):
        collected(tmp_path, "maxwell")


def test_the_new_sets_read_their_rows(tmp_path: Path) -> None:
    """One video of each: score, content, split, codec and level."""
    expected = {
        ("live_yt_gaming", "AgeEmpires-004"): (80.0455684448318, "AgeEmpires", None, "", ""),
        ("live_challenge", "3"): (63.9634, "3", None, "", ""),
        ("spaq", "00001"): (35.2, "00001", None, "", ""),
        ("csiq", "1600.jpeg2000.2"): (0.6, "1600", None, "jpeg 2000", "2"),
        ("pipal", "A0102_03_01"): (1377.3469, "A0102", None, "distortion 03", "01"),
        ("flive", "motion0044"): (75.44372347614072, "motion0044", "train", "", ""),
        ("live_yt_hfr", "1Runner_crf_0_82fps"): (58.586168, "1Runner", None, "vp9", "0"),
        ("konvid_150k", "orig_10007436115_540_5s"): (3.53, "orig_10007436115_540_5s", "test", "", ""),
        ("finevd", "0_00_00_1382276868"): (18.1518, "0_00_00_1382276868", None, "", ""),
        ("t2vqa_db", "0002"): (42.5, 'a cat; "quoted, asleep', None, "", ""),
    }
    for (name, video_id), values in expected.items():
        found = entries(tmp_path, name)[video_id]
        got = (round(found.mos, 9), found.content, found.split, found.codec, found.level)
        assert got == (round(values[0], 9), *values[1:]), name
    assert "t1" not in collected(tmp_path, "live_challenge")
    assert entries(tmp_path, "spaq", score="sharpness")["00001"].mos == 41.25
    assert entries(tmp_path, "konvid_150k", score="video_score")["orig_10007436115_540_5s"].mos == 3.61
    unknown = "A0000_10_00.bmp,-1"
    write(tmp_path / "raw/pipal/Train_Label/A0102.txt", [unknown])
    files(tmp_path / "raw/pipal/Train_Dist", ["A0000_10_00.bmp"])
    assert collected(tmp_path, "pipal", unscored="keep")["A0000_10_00"].mos is None
