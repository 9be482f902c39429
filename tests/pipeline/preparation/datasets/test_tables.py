"""The one reader of tables: it guesses how a file is written, and says so."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.tables import read_rows, read_table
from tests.pipeline.preparation.datasets.published import cells
from tests.pipeline.preparation.datasets.workbook import write_workbook

COLUMNS = {"name": "video", "mos": "Mean score"}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"video,Mean score\na.mp4,3.5\n", "commas between columns, UTF-8"),
        (b"video;Mean score\r\na.mp4;3,5\r\n", "semicolons between columns, UTF-8, CRLF, decimal commas"),
        (b"video\tmean_score\na.mp4\t3.5\n", "tabs between columns, UTF-8"),
        (b"video|MEAN SCORE\na.mp4|3.5\n", "bars between columns, UTF-8"),
        (b'"video","MeanScore"\n"a.mp4","3,5"\n', "commas between columns, UTF-8, quoted, decimal commas"),
        (b"\xef\xbb\xbfvideo,Mean score\na.mp4,3.5\n", "commas between columns, UTF-8 with a byte-order mark"),
        ("video;Mean score\na.mp4;3,5\n".encode("utf-16"), "semicolons between columns, UTF-16, decimal commas"),
        (b"Scores of 2020\n\nvideo,Mean score\na.mp4,3.5\n", "commas between columns, UTF-8"),
        (b"video;Mean score;;\na.mp4;3.5;x;\n;;;\n", "semicolons between columns, UTF-8"),
    ],
)
def test_text_is_read_however_it_is_written(tmp_path: Path, data: bytes, found: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    table = read_table(path, COLUMNS)
    assert [(row["name"], row["mos"]) for row in table.rows] == [("a.mp4", "3.5")]
    assert table.found == found


def test_letters_outside_utf_8_are_those_of_windows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("video,Mean score\nÜbung – 1.mp4,3.5\n".encode("cp1252"))
    (row,) = read_table(tmp_path / "t.csv", COLUMNS).rows
    assert row["name"] == "Übung – 1.mp4"


def test_a_list_without_a_header_takes_the_readers_names(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("my video 1.mp4, 8.04, 1.5\nmy video 2.mp4, 8.04, 2.5\n")
    rows = read_rows(path, ["path", "mos"], header=["path", "seconds", "mos"])
    assert [(row["path"], row["mos"], row.where) for row in rows] == [
        ("my video 1.mp4", "1.5", "t.txt, row 1"),
        ("my video 2.mp4", "2.5", "t.txt, row 2"),
    ]
    path.write_text("5.51 I01_01_1.bmp\n4.5 I01_01_2.bmp\n")
    rows = read_rows(path, ["mos", "name"], header=["mos", "name"])
    assert [row["name"] for row in rows] == ["I01_01_1.bmp", "I01_01_2.bmp"]
    path.write_text("44.5\t12.2\n70.1\t8.4\n")
    assert [row["mos"] for row in read_rows(path, ["mos"], header=["mos", "*"])] == ["44.5", "70.1"]
    path.write_text("a b.mp4\nc.mp4\n")
    assert [row["name"] for row in read_rows(path, ["name"], header=["name"])] == ["a b.mp4", "c.mp4"]


def test_columns_of_which_a_file_has_one_and_those_that_it_may_lack(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("vid,mos\na,3\n")
    columns = {"name": ("video_list", "vid"), "mos": "mos", "colour": "color"}
    table = read_table(tmp_path / "t.csv", columns, optional=["colour"])
    assert [dict(row) for row in table.rows] == [{"vid": "a", "mos": "3", "name": "a"}]
    with pytest.raises(DatasetError, match="no column 'color'; it has vid, mos"):
        read_table(tmp_path / "t.csv", columns)


def test_a_sheet_is_found_by_its_columns_wherever_they_begin(tmp_path: Path) -> None:
    rows = [["Results"], [], ["", "video", "n", "Mean score"], ["", 1600, 3, 3.5], ["", "b", "", 4.25], ["", "", "", 1]]
    write_workbook(tmp_path / "t.xlsx", {"notes": [["nothing"]], "MOS": rows})
    table = read_table(tmp_path / "t.xlsx", COLUMNS)
    assert [(row["name"], row["mos"], row.where) for row in table.rows][:2] == [
        ("1600", "3.5", "t.xlsx, row 4"),
        ("b", "4.25", "t.xlsx, row 5"),
    ]
    assert table.found == "spreadsheet, sheet 'MOS'"
    with pytest.raises(DatasetError, match=r"no sheet 'x'; it has notes, MOS"):
        read_table(tmp_path / "t.xlsx", COLUMNS, sheet="x")
    with pytest.raises(DatasetError, match="no sheet has a row that names absent"):
        read_table(tmp_path / "t.xlsx", {"name": "absent"})


@pytest.mark.parametrize("kept", [4, 60, 400])
def test_a_damaged_spreadsheet_is_refused(tmp_path: Path, kept: int) -> None:
    write_workbook(tmp_path / "t.xlsx", {"MOS": [["video", "Mean score"], ["a", 3.5]]})
    (tmp_path / "t.xlsx").write_bytes((tmp_path / "t.xlsx").read_bytes()[:kept])
    with pytest.raises(DatasetError, match="is no spreadsheet that can be read"):
        read_table(tmp_path / "t.xlsx", COLUMNS)


def test_matlab_variables_in_structs_and_of_different_lengths(tmp_path: Path) -> None:
    savemat(tmp_path / "t.mat", {"data": {"video": cells(["a", "b"]), "score": np.array([[1.5, 2.0]])}})
    table = read_table(tmp_path / "t.mat", {"name": "data.video", "mos": ("nothing", "data.score")})
    assert [(row["name"], row["mos"], row.where) for row in table.rows] == [
        ("a", "1.5", "t.mat, entry 1"),
        ("b", "2", "t.mat, entry 2"),
    ]
    savemat(tmp_path / "t.mat", {"video": cells(["a", "b"]), "score": np.array([[1.5]])})
    table = read_table(tmp_path / "t.mat", {"name": "video", "mos": "score"})
    assert len(table.rows) == 1
    assert "got 2 of video, 1 of score; expected as many of each" in table.problems[0]
    with pytest.raises(DatasetError, match="no variable 'scores'; it has video, score; did you mean 'score'"):
        read_table(tmp_path / "t.mat", {"name": "video", "mos": "scores"})
