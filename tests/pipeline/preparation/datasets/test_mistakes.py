"""What a user may get wrong in what he brings, links and odd names among it: told at once, or simply right."""

import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from pipeline.core import manifest
from pipeline.core.manifest import ManifestError
from pipeline.preparation.datasets import combined, csv, ladder
from pipeline.preparation.datasets.shared import files as _files
from pipeline.preparation.datasets.shared.entry import DatasetError
from tests.pipeline.preparation.datasets.published import cells, prepared, raw, video, write

SCALE = {"low": 1.0, "high": 5.0}


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    folder = tmp_path / "raw/csv"
    folder.mkdir(parents=True)
    return folder


def refusal(root: Path, name: str, options: dict[str, Any]) -> str:
    with pytest.raises((DatasetError, ManifestError)) as refused:
        prepared(root, name, options)
    return str(refused.value)


def test_wrong_rows_and_wrong_files_are_told_in_one_run_each_with_its_row(
    tmp_path: Path, brought: Path, inline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        video(brought / f"v{number}.mp4", seed=number)
    (brought / "v1.mp4").write_bytes((brought / "v1.mp4").read_bytes()[:-300])
    (brought / "v3.mp4").write_bytes((brought / "v2.mp4").read_bytes())
    rows = ["v0.mp4,1,a,train,4", "v1.mp4,2,a,test,4", "v2.mp4,7,b,train,4", "v3.mp4,3,c,test,4", "v4.mp4,3,d,,5"]
    write(brought / "labels.csv", ["path,mos,content,split,n", *rows, "v5mp4,3,e,,4", "v0.mp4,3,f,,4"])
    columns = {"content": "content", "split": "split", "num_frames": "n"}
    told = refusal(tmp_path, "csv", {**SCALE, "columns": columns})
    for part in (
        "prepare found 7 problems:",
        "labels.csv, row 4: MOS is 7; the scale of csv is 1 to 5; correct the table, or set prepare.options.csv.low",
        "labels.csv, row 7: no file v5mp4 in",
        "video_id 'v0' stands 2 times (labels.csv, row 2, labels.csv, row 8)",
        "labels.csv, row 3: v1: ",
        "labels.csv, row 6: v4: raw/csv/v4.mp4 has 4 frames; its table claims 5",
        "content 'a' is in the splits test (labels.csv, row 3: v1) and train (",
        "labels.csv, row 4: v2 (train) and labels.csv, row 5: v3 (test) are the same file in different splits",
        "run `dvc add data/raw/csv`",
    ):
        assert part in told, told
    assert "2 wrong in the tables, the first: labels.csv, row 4" in capsys.readouterr().err


def test_the_parts_of_a_combination_are_told_together(tmp_path: Path, brought: Path, inline: None) -> None:
    video(brought / "good.mp4")
    (brought / "text.mp4").write_text("hello")
    write(brought / "labels.csv", ["path,mos", "good.mp4,9", "text.mp4,2"])
    told = refusal(tmp_path, "combined", {"parts": {"csv": SCALE, "kvq": {}, "tid2013": {}}})
    for part in (
        "csv: labels.csv, row 2: MOS is 9",
        "labels.csv, row 3: csv/text: ",
        "kvq: there is no folder",
        "tid2013: there is no folder",
        "data/raw/kvq/",
        "data/raw/tid2013/",
    ):
        assert part in told, told


def test_two_ladders_would_overwrite_each_other(tmp_path: Path) -> None:
    parts = {name: {"dataset": "ladder", "folder": f"raw/{name}"} for name in ("one", "two")}
    with pytest.raises(DatasetError, match=r"parts\.two: two parts of ladder would make videos in one folder"):
        combined.scales(combined.Settings.parse({"parts": parts}, "here"))


def test_the_same_file_twice_in_one_split_is_told(
    tmp_path: Path, brought: Path, inline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        video(brought / f"{name}.mp4", seed=name == "c")
    write(brought / "labels.csv", ["path,mos,scene", "a.mp4,2,x", "b.mp4,4,x", "c.mp4,4,y"])
    prepared(tmp_path, "csv", {**SCALE, "columns": {"content": "scene"}})
    assert "prepare: a and b are the same file\n" in capsys.readouterr().err


def test_a_letter_that_table_and_disk_write_in_two_ways_is_one(tmp_path: Path, brought: Path, inline: None) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Übung é.mp4") for form in ("NFC", "NFD"))
    assert composed != decomposed
    for on_disk, in_table in ((composed, decomposed), (decomposed, composed)):
        video(brought / on_disk)
        write(brought / "labels.csv", ["path,mos", f"{in_table},3"])
        (found,) = prepared(tmp_path, "csv", SCALE).videos
        assert found.path == f"raw/csv/{on_disk}"
        (brought / on_disk).unlink()


@pytest.mark.parametrize("name", ["-v.mp4", "a;b,c.mp4", "%03d.mp4", "{path}.mp4", "c:x.mp4", "'\"$`.mp4", "日本.mp4"])
def test_odd_names_stay_as_they_are(tmp_path: Path, brought: Path, inline: None, name: str) -> None:
    video(brought / name)
    quoted = name.replace('"', '""')
    write(brought / "labels.csv", ["path,mos", f'"{quoted}",3'])
    (found,) = prepared(tmp_path, "csv", SCALE).videos
    assert (found.path, found.num_frames) == (f"raw/csv/{name}", 4)


def test_paths_that_leave_the_folder_are_told(tmp_path: Path, brought: Path, inline: None) -> None:
    outside = video(tmp_path.parent / f"{tmp_path.name} outside" / "x.mp4")
    os.symlink(outside, brought / "link.mp4")
    write(brought / "labels.csv", ["path,mos", f"{outside},3", "../raw/csv/link.mp4,3", "link.mp4,3"])
    told = refusal(tmp_path, "csv", SCALE)
    for row, part in ((2, "leaves the data root"), (3, "without '..'"), (4, f"symbolic link to {outside}; copy it")):
        assert any(f"row {row}: " in line and part in line for line in told.splitlines()), told
    with pytest.raises(DatasetError, match=r"label table of csv: path .* leaves the data root"):
        csv.collect(csv.Settings.parse({**SCALE, "labels": "../../labels.csv"}, "here"), tmp_path, 1)


def test_links_inside_the_data_root_are_followed(tmp_path: Path, brought: Path, inline: None) -> None:
    elsewhere = tmp_path / "raw/konvid_1k"
    video(elsewhere / "one.mp4", seed=1)
    video(elsewhere / "deep/two.mp4", seed=2)
    os.symlink("../konvid_1k/one.mp4", brought / "linked.mp4")
    write(brought / "labels.csv", ["path,mos", "linked.mp4,3"])
    assert [row.path for row in prepared(tmp_path, "csv", SCALE).videos] == ["raw/csv/linked.mp4"]
    folder = tmp_path / "raw/folder"
    folder.mkdir()
    os.symlink("../konvid_1k", folder / "a link")
    os.symlink("..", elsewhere / "deep/back")
    paths = [row.path for row in prepared(tmp_path, "folder", {}).videos]
    assert paths == ["raw/folder/a link/deep/two.mp4", "raw/folder/a link/one.mp4"]


def test_linked_folders_that_leave_the_data_root_are_told_not_passed_over(tmp_path: Path, inline: None) -> None:
    outside = tmp_path.parent / f"{tmp_path.name} outside"
    video(outside / "x.mp4")
    for name in ("raw/folder", "raw/ladder"):
        video(tmp_path / name / "inside.mp4")
        os.symlink(outside, tmp_path / name / "more")
    assert "path 'raw/folder/more' leaves the data root" in refusal(tmp_path, "folder", {})
    with pytest.raises(DatasetError, match="path 'raw/ladder/more' leaves the data root"):
        ladder.collect(ladder.Settings(), tmp_path, 1)


def test_links_of_dvc_into_its_cache_are_no_way_out(tmp_path: Path, inline: None) -> None:
    """With ``cache.type = symlink``, whether the cache lies in the project or on another disk."""
    for number, setting in enumerate(("", "[cache]\n    dir = ../../shelf\n")):
        project = tmp_path / f"project {number}"
        shelf = tmp_path / "shelf" if setting else project / ".dvc/cache"
        (project / ".dvc").mkdir(parents=True)
        (project / ".dvc/config").write_text(setting)
        stored = video(shelf / "files/md5/ab/cdef.mp4").rename(shelf / "files/md5/ab/cdef")
        folder = project / "data/raw/folder"
        folder.mkdir(parents=True)
        os.symlink(stored, folder / "x.mp4")
        assert [row.path for row in prepared(project / "data", "folder", {}).videos] == ["raw/folder/x.mp4"]
        (shelf / "config").write_text("secret")
        os.symlink(shelf / "config", folder / "y.mp4")
        assert "leaves the data root" in refusal(project / "data", "folder", {})
    (tmp_path / "broken/.dvc").mkdir(parents=True)
    (tmp_path / "broken/.dvc/config").write_text("[core\n")
    with pytest.raises(ManifestError, match="cannot read DVC's settings"):
        manifest.resolve(tmp_path / "broken", os.path.relpath(_link(tmp_path / "broken/x"), tmp_path / "broken"))


def _link(path: Path) -> Path:
    os.symlink("/etc/hostname", path)
    return path


def test_variables_of_different_lengths_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "raw/live_vqc"
    video(folder / "A001.mp4")
    savemat(folder / "data.mat", {"video_list": cells(["A001.mp4"]), "mos": np.array([[6.2], [50.0]])})
    assert "got 1 of video_list, 2 of mos; expected as many of each" in refusal(tmp_path, "live_vqc", {})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scores": cells(["3", "4"])}, "scores holds no numbers"),
        ({"video_names": np.array([[1.0, 2.0]])}, "video_names holds no text"),
        ({"ref_ids": np.array([[1.0, np.nan]])}, "ref_ids has values that are no numbers"),
        ({"scores": np.array([[1.0, np.nan]])}, "info.mat, entry 2: MOS is nan"),
    ],
)
def test_a_matlab_file_with_other_things_in_it_is_explained(
    tmp_path: Path, inline: None, changed: dict[str, Any], said: str
) -> None:
    for seed, name in enumerate(("a.mp4", "b.mp4")):
        video(tmp_path / "raw/vsfa_info" / name, seed=seed)
    sound = {"video_names": cells(["a.mp4", "b.mp4"]), "scores": np.array([[1.0, 2]]), "ref_ids": np.array([[1.0, 2]])}
    savemat(tmp_path / "raw/vsfa_info/info.mat", sound | changed)
    assert said in refusal(tmp_path, "vsfa_info", {**SCALE, "labels": "info.mat"})


def test_the_nearest_name_is_found_among_very_many(tmp_path: Path, brought: Path, monkeypatch) -> None:
    """Comparing every missing name with every file would take an hour."""
    compared: list[int] = []
    nearest = _files.nearest
    monkeypatch.setattr(_files, "nearest", lambda name, known: compared.append(len(known)) or nearest(name, known))
    for number in range(3000):
        (brought / f"a video with a long name {number:04d}.mp4").touch()
    rows = [f"a video with a long nam {number:04d}.mp4,3" for number in range(3000)]
    write(brought / "labels.csv", ["path,mos", "A video with a lang name 0007.mp4,3", *rows])
    with pytest.raises(DatasetError) as refused:
        csv.collect(csv.Settings.parse(SCALE, "here"), tmp_path, 1)
    assert len(refused.value.problems) == 3001
    assert (len(compared), max(compared) <= 100) == (50, True)
    assert "did you mean 'a video with a long name 0007.mp4'?" in refused.value.problems[0]
    assert "did you mean 'a video with a long name 0029.mp4'?" in refused.value.problems[30]
    assert "did you mean" not in refused.value.problems[50]


def test_raw_video_of_an_unknown_size_says_what_to_do(tmp_path: Path, brought: Path, inline: None) -> None:
    raw(brought / "plain.yuv")
    write(brought / "labels.csv", ["path,mos", "plain.yuv,3"])
    told = refusal(tmp_path, "csv", SCALE)
    assert "labels.csv, row 2: plain: the size of plain.yuv is not known; put it into the name" in told


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "path,mos\na.mp4,3\nb.mp4,3,5\n",
            "row 3: got 3 columns; expected 2 (a comma in a value needs quotes round the",
        ),
        ("path;mos\na.mp4;3,5\nb.mp4;3.5\n", "row 2: got the score '3,5'; expected a number such as 3.5"),
        ("path,mos,path\na.mp4,3,b.mp4\n", "'path' names two columns; rename one"),
        ("path,mos\n", "has a header and no rows"),
        ("", "is empty; expected a table with the columns mos"),
        ("path,moss\na.mp4,3\n", "no column 'mos'; it has path, moss; did you mean 'moss'?"),
    ],
)
def test_a_wrong_table_is_explained(tmp_path: Path, brought: Path, inline: None, table: str, said: str) -> None:
    video(brought / "a.mp4")
    video(brought / "b.mp4", seed=1)
    (brought / "labels.csv").write_text(table)
    assert said in refusal(tmp_path, "csv", SCALE)


def test_empty_columns_at_the_end_of_a_row_are_no_mistake(tmp_path: Path, brought: Path, inline: None) -> None:
    video(brought / "a.mp4")
    (brought / "labels.csv").write_text("path,mos\r\na.mp4,3,,\r\n\r\n")
    assert [label.mos for label in prepared(tmp_path, "csv", SCALE).labels] == [3.0]


def test_a_pattern_that_finds_no_content_is_told(
    tmp_path: Path, inline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("scene1_a.mp4", "scene1_b.mp4", "other.mp4")):
        video(tmp_path / "raw/folder" / name, seed=seed)
    told = refusal(tmp_path, "folder", {"content": r"shot(\d)"})
    assert "prepare.options.folder.content finds nothing in 3 paths, such as 'other.mp4'; expected a regular" in told
    labels = prepared(tmp_path, "folder", {"content": r"scene(\d)"}).labels
    assert [label.content for label in labels] == ["other.mp4", "1", "1"]
    assert "finds nothing in 1 paths, such as 'other.mp4'; each of these videos is its own" in capsys.readouterr().err


def test_a_pattern_looks_at_the_path_whatever_its_column_is_called(tmp_path: Path, brought: Path, inline: None) -> None:
    for seed in range(4):
        video(brought / f"scene{seed % 2}/{seed}.mp4", seed=seed)
    write(brought / "labels.csv", ["Datei,mos", *(f"scene{seed % 2}/{seed}.mp4,3" for seed in range(4))])
    options = {**SCALE, "paths": ["{Datei}"], "content": r"scene(\d)"}
    assert [label.content for label in prepared(tmp_path, "csv", options).labels] == ["0", "1", "0", "1"]


def test_a_part_of_no_data_set_is_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, "combined", {"parts": {"mine": SCALE}})
    assert told.startswith("prepare.options.combined.parts.mine: unknown dataset 'mine'; known: bvi_hd, ")
    assert told.endswith("or say which it is, such as `dataset: csv`")
