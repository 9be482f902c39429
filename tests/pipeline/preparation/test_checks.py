"""What ``prepare`` tells before hours are spent, and what it does not read twice."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.manifest import ScoreScale
from pipeline.preparation import files
from pipeline.preparation.checks import duplicates_across_splits, scale_warnings
from pipeline.preparation.datasets.shared.entry import Entry, RawFormat
from pipeline.preparation.datasets.shared.made import Made, key_of
from pipeline.preparation.files import identify
from pipeline.preparation.overview import draw_overview
from pipeline.preparation.prepare import prepare
from pipeline.preparation.settings import PrepareSettings, Split
from pipeline.rendering.render import clip_units
from pipeline.video.decoder import DecodeError, DecodeOptions
from pipeline.video.decoders.auto import check_ends
from tests.tables import label_row, video_row
from tests.videos import write_raw, write_video

LONG_AGO = time.time_ns() - 3600 * 10**9


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    names: list[str] = []

    class Here:
        def __init__(self, *_) -> None: ...

        def map(self, function, tasks) -> Iterator:
            for index, task in enumerate(tasks):
                names.append(task[0].name)
                yield index, function(task)

    monkeypatch.setattr(files, "LocalWorkers", Here)
    return names


def entry(path: str, **values) -> Entry:
    given = {"mos": 3.0, "content": path, "codec": "", "level": "", "split": None, "dataset": "x", **values}
    return Entry(video_id=path, path=path, **given)


def settle(*paths: Path) -> None:
    for path in paths:
        os.utime(path, ns=(LONG_AGO, LONG_AGO))


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "libx265", "libsvtav1", "mpeg4"])
def test_the_last_frame_is_decoded(tmp_path: Path, codec: str) -> None:
    suffix = {"libvpx-vp9": "webm", "libsvtav1": "mkv", "mpeg4": "avi"}.get(codec, "mp4")
    path = write_video(tmp_path / f"v.{suffix}", codec=codec, num_frames=40, options={"g": "8"})
    info = check_ends(path, DecodeOptions())
    assert info.num_frames == 40


def test_damage_at_either_end_is_found_though_the_container_is_whole(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", codec="mjpeg", pix_fmt="yuvj420p", num_frames=12, texture=True)
    whole = path.read_bytes()
    for place in (len(whole) - 2500, 1200):
        data = bytearray(whole)
        data[place : place + 300] = bytes(300)
        path.write_bytes(data)
        with pytest.raises(DecodeError):
            check_ends(path, DecodeOptions())


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, looked_at: list[str]) -> None:
    good = write_video(tmp_path / "good.mp4")
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:-700])
    (tmp_path / "text.mp4").write_text("hello")
    write_raw(tmp_path / "odd_96x64.yuv", num_frames=2)
    entries = [
        entry("good.mp4", num_frames=25),
        entry("cut.mp4"),
        entry("text.mp4"),
        entry("gone.mp4"),
        entry("../out.mp4"),
        entry("odd_96x64.yuv", raw=RawFormat(width=100, height=64)),
    ]
    videos, problems = identify(entries, tmp_path, workers=1)
    assert [video.video_id for video in videos] == ["good.mp4"]
    told = "\n".join(problems)
    for part in (
        "has 24 frames; its table claims 25",
        "cut.mp4: ",
        "text.mp4: ",
        "gone.mp4 is not a file",
        "leaves the data root",
        "no whole number of frames",
    ):
        assert part in told, told
    assert len(problems) == 6


def test_unchanged_files_are_not_read_again(tmp_path: Path, looked_at: list[str]) -> None:
    first, second = write_video(tmp_path / "a.mp4"), write_video(tmp_path / "b c.mp4", num_frames=12)
    settle(first, second)
    entries = [entry("a.mp4"), entry("b c.mp4")]
    found = identify(entries, tmp_path, workers=1)
    assert identify(entries, tmp_path, workers=1) == found
    assert looked_at == ["a.mp4", "b c.mp4"]
    write_video(second, num_frames=13)
    settle(second)
    again = identify(entries, tmp_path, workers=1)[0]
    assert looked_at == ["a.mp4", "b c.mp4", "b c.mp4"]
    assert again[1].num_frames == 13
    (tmp_path / ".teachonce/files.sqlite").write_bytes(b"damaged")
    assert identify(entries, tmp_path, workers=1)[0] == again
    assert len(looked_at) == 5


def test_a_fresh_file_is_read_again_for_it_may_yet_change(tmp_path: Path, looked_at: list[str]) -> None:
    write_video(tmp_path / "a.mp4")
    for _ in range(2):
        identify([entry("a.mp4")], tmp_path, workers=1)
    assert looked_at == ["a.mp4", "a.mp4"]


def test_what_a_run_found_before_it_ended_is_not_read_again(
    tmp_path: Path, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(*(write_video(tmp_path / f"{name}.mp4") for name in "abc"))
    entries = [entry(f"{name}.mp4") for name in "abc"]
    look_at = files.look_at

    def ended(task: tuple[Path, DecodeOptions]) -> files.FileFacts | str:
        if task[0].name == "c.mp4":
            raise KeyboardInterrupt
        return look_at(task)

    monkeypatch.setattr(files, "_KEPT_SECONDS", 0.0)
    monkeypatch.setattr(files, "look_at", ended)
    with pytest.raises(KeyboardInterrupt):
        identify(entries, tmp_path, workers=1)
    monkeypatch.setattr(files, "look_at", look_at)
    assert len(identify(entries, tmp_path, workers=1)[0]) == 3
    assert looked_at == ["a.mp4", "b.mp4", "c.mp4", "c.mp4"]


def test_the_same_file_in_two_splits_is_told(tmp_path: Path) -> None:
    video, label = video_row("a"), label_row("a")
    videos = [video, replace(video, video_id="b")]
    assert duplicates_across_splits(videos, [label, replace(label, video_id="b")]) == []
    told = duplicates_across_splits(videos, [label, replace(label, video_id="b", split="test")])
    assert told == [
        "a (train) and b (test) are the same file in different splits; give them one content, or remove all but one"
    ]


def test_raw_video_is_decoded_and_known_by_its_layout(tmp_path: Path, looked_at: list[str]) -> None:
    write_raw(tmp_path / "raw_96x64.yuv", num_frames=2)
    told = [RawFormat(width=96, height=64, fps=24.0), RawFormat(width=64, height=96)]
    rows = [identify([entry("raw_96x64.yuv", raw=raw)], tmp_path, workers=1)[0][0] for raw in told]
    assert rows[0].sha256 == rows[1].sha256
    assert (rows[0].fps, rows[0].width, rows[1].width) == (24.0, 96, 64)
    assert clip_units(rows, 1)[0].source != clip_units(rows, 1)[1].source
    mp4 = replace(rows[0], path="x.mp4")
    assert clip_units([mp4], 1)[0].source == mp4.sha256


def test_the_picture_is_the_same_for_the_same_tables(tmp_path: Path, looked_at: list[str]) -> None:
    (tmp_path / "raw/folder").mkdir(parents=True)
    for number in range(4):
        write_video(tmp_path / f"raw/folder/{number} $x.mp4", num_frames=8 + number)
    settings = PrepareSettings(
        dataset="folder", options={}, seed=1, split=Split(val=0.2, test=0.2), labelled_fraction=1.0
    )
    tables = prepare(settings, tmp_path, workers=1)
    for name in ("one.png", "two.png"):
        draw_overview(tmp_path / name, tables.videos, tables.labels, tables.scales)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_finished_files_are_found_by_key_unless_they_are_damaged(tmp_path: Path) -> None:
    made, key = Made(tmp_path), key_of({"recipe": "crf=20", "version": 1})
    assert made.find(key) is None
    made.keep(key, b"video", {"mos": 3.5})
    assert made.find(key) == {"mos": 3.5}
    made.place(key, tmp_path / "placed.mp4")
    assert (tmp_path / "placed.mp4").read_bytes() == b"video"
    next(path for path in (tmp_path / "made").rglob("*") if path.is_file() and not path.suffix).write_bytes(b"vidio")
    assert made.find(key) is None


def test_a_finished_file_that_is_placed_again_leaves_nothing_beside_it(tmp_path: Path) -> None:
    made, key = Made(tmp_path / "kept"), key_of({"recipe": "crf=20"})
    made.keep(key, b"video", {})
    (tmp_path / "videos").mkdir()
    for _ in range(2):
        made.place(key, tmp_path / "videos/placed.mp4")
    assert [path.name for path in (tmp_path / "videos").iterdir()] == ["placed.mp4"]


def test_an_index_that_another_run_holds_is_left_alone(
    tmp_path: Path, looked_at: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(write_video(tmp_path / "a.mp4"))
    found = identify([entry("a.mp4")], tmp_path, workers=1)
    with closing(sqlite3.connect(tmp_path / ".teachonce/files.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0.05))
        assert identify([entry("a.mp4")], tmp_path, workers=1) == found
        holder.execute("ROLLBACK")
    assert "was not updated" in capsys.readouterr().err
    assert looked_at == ["a.mp4", "a.mp4"]


@pytest.mark.parametrize(
    ("scores", "low", "high", "direction", "warned"),
    [
        ([1.2, 3.0, 4.4, 4.9], 0.0, 100.0, "higher_is_better", "the scores are 1.2 to 4.9, the scale is 0 to 100"),
        ([0.2, 0.5, 0.9, 0.7], 0.0, 100.0, "higher_is_better", "of a scale from 0 to 1,"),
        ([1.2, 3.0, 4.4, 4.9], 0.0, 100.0, "lower_is_better", "of a scale from 1 to 5,"),
        ([1.2, 3.0, 4.4, 4.9], 1.0, 5.0, "higher_is_better", ""),
        ([12.0, 33.0, 4.4, 80.0], 0.0, 100.0, "higher_is_better", ""),
        ([3.0, 4.0], 0.0, 100.0, "higher_is_better", ""),
    ],
)
def test_scores_of_another_scale_get_a_warning(
    scores: list[float], low: float, high: float, direction: str, warned: str
) -> None:
    scale = ScoreScale(score_name="MOS", low=low, high=high, published_direction=direction)
    entries = [entry(f"{number}.mp4", mos=scale.turned(score)) for number, score in enumerate(scores)]
    warnings = scale_warnings(entries, {"x": scale})
    assert len(warnings) == bool(warned)
    assert warned in "".join(warnings)
