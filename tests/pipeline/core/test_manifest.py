"""The tables: what is written reads back, and every mistake is reported with its row."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.manifest import (
    Label,
    ManifestError,
    Video,
    labels_of,
    read_labels,
    read_videos,
    resolve,
    write_labels,
    write_videos,
)
from tests.tables import label_row, video_row


def video(name: str = "a", **changes: Any) -> Video:
    return video_row(name, **{"fps": 29.97} | changes)


def label(name: str = "a", **changes: Any) -> Label:
    return label_row(name, **{"mos": 0.1 + 0.2, "content": 'c, "quoted"\nand broken'} | changes)


def test_tables_read_back_exactly_and_in_order(tmp_path: Path) -> None:
    write_videos(tmp_path / "videos.csv", [video("b"), video("a", fps=None, width=None)])
    write_labels(tmp_path / "labels.csv", [label("b", labelled=False), label("a", mos=None)])
    assert read_videos(tmp_path / "videos.csv") == [video("a", fps=None, width=None), video("b")]
    assert read_labels(tmp_path / "labels.csv") == [label("a", mos=None), label("b", labelled=False)]
    header = (tmp_path / "videos.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "video_id,path,sha256,dataset,width,height,fps,num_frames,pix_fmt"


def test_further_scores_stand_at_the_end_and_other_peoples_columns_are_let_be(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    scored = [label("a", scores={"technical": 3.25}), label("b", scores={"technical": None, "aesthetic": 1.0})]
    write_labels(path, scored)
    assert path.read_text(encoding="utf-8").splitlines()[0].endswith(",split,labelled,aesthetic,technical")
    found = read_labels(path)
    assert [row.scores for row in found] == [
        {"aesthetic": None, "technical": 3.25},
        {"aesthetic": 1.0, "technical": None},
    ]
    head = "video_id,mos,content,codec,level,split,labelled"
    path.write_text(f"{head},note,x\na,1,c,h264,31,train,1,by hand,4.5\n", encoding="utf-8")
    assert read_labels(path)[0].scores == {"note": None, "x": 4.5}
    path.write_text(f"{head},x,x\na,1,c,h264,31,train,1,1,2\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="got the header"):
        read_labels(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,1,c,h264,31,train", "row 2: got 6 columns"),
        ("a,good,c,h264,31,train,1", "row 2: mos: got 'good'"),
        ("a,nan,c,h264,31,train,1", "row 2: mos: got 'nan'"),
        ("a,1,c,h264,31,tarin,1", "did you mean 'train'?"),
        ("a,1,c,h264,31,train,yes", "labelled: got 'yes'; expected 0 or 1"),
        (",1,c,h264,31,train,1", "row 2: video_id: got ''; string should have at least 1 character"),
        ("a,1,c,h264,31,train,1\na,1,c,h264,31,train,1", "row 3: video_id 'a' stands already in row 2"),
        ("a,1,c,h264,31,train,1\nb,1,c,h264,31,test,1", "content 'c' is in the splits test (b) and train (a)"),
    ],
)
def test_a_wrong_label_row_is_explained(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"video_id,mos,content,codec,level,split,labelled\n{line}\n", encoding="utf-8")
    with pytest.raises(ManifestError) as error:
        read_labels(path)
    assert said in str(error.value)


def test_a_wrong_digest_or_size_is_explained(tmp_path: Path) -> None:
    write_videos(tmp_path / "videos.csv", [video("a", sha256="xyz"), video("b", width=0)])
    with pytest.raises(ManifestError) as error:
        read_videos(tmp_path / "videos.csv")
    assert "sha256: got 'xyz'" in str(error.value)
    assert "width: got '0'; input should be greater than 0" in str(error.value)


def test_tables_of_different_videos_are_refused() -> None:
    with pytest.raises(ManifestError, match="'b' has no row in labels.csv"):
        labels_of([video("a"), video("b")], [label("a")])
    with pytest.raises(ManifestError, match="labels.csv has 'b'"):
        labels_of([video("a")], [label("a"), label("b")])


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a\0b"])
def test_a_path_stays_inside_the_root(tmp_path: Path, path: str) -> None:
    with pytest.raises(ManifestError):
        resolve(tmp_path, path)


def test_a_link_out_of_the_root_is_refused_and_one_inside_is_not(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "raw").mkdir(parents=True)
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    os.symlink(tmp_path / "secret", root / "out.mp4")
    (root / "raw" / "in.mp4").write_text("x", encoding="utf-8")
    os.symlink(root / "raw" / "in.mp4", root / "link.mp4")
    with pytest.raises(ManifestError, match="symbolic link"):
        resolve(root, "out.mp4")
    assert resolve(root, "link.mp4").read_text(encoding="utf-8") == "x"
