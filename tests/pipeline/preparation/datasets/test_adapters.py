"""Every data set that a user brings, laid out as published: it is found, prepared, and says what is missing."""

import inspect
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.io import savemat

from pipeline.core import registry
from pipeline.core.files import file_digest
from pipeline.core.manifest import ManifestError, ScoreScale
from pipeline.core.settings import SettingsError
from pipeline.preparation.datasets import csv
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry
from pipeline.rendering.clips import Clips, RenderTask, render_video
from pipeline.rendering.policy import ViewPolicy
from tests.pipeline.preparation.datasets.published import EXAMPLES, cells, image, prepared, raw, video

MADE = {"embedded", "ladder"}
"""Data sets that make their videos; they have tests of their own."""


def collected(tmp_path: Path, name: str, **options) -> tuple[ModuleType, list[Entry], dict[str, ScoreScale]]:
    folder = tmp_path / "raw" / name
    for place in (folder, *(folder.parent / part for part in ("bvi_hd", "konvid_1k", "mine"))):
        place.mkdir(parents=True, exist_ok=True)
    module = registry.find("preparation.datasets", name)
    settings = module.Settings.parse({**EXAMPLES[name](folder), **options}, "here")
    return module, module.collect(settings, tmp_path, 1, None), module.scales(settings)


def test_every_data_set_has_an_example() -> None:
    assert set(EXAMPLES) | MADE == set(registry.names("preparation.datasets"))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_it_keeps_to_the_contract(tmp_path: Path, name: str) -> None:
    module, entries, scales = collected(tmp_path, name)
    assert inspect.getdoc(module), name
    assert name == "combined" or set(scales) == {name}
    assert [entry.video_id for entry in entries] == sorted({entry.video_id for entry in entries})
    for entry in entries:
        assert (tmp_path / entry.path).is_file()
        assert entry.content
        assert entry.dataset in scales
        scale = scales[entry.dataset]
        assert entry.mos is None or scale.low <= entry.mos <= scale.high
    again = collected(tmp_path, name)[1]
    assert again == entries


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_what_is_missing_is_told_with_where_it_goes(tmp_path: Path, name: str) -> None:
    module = registry.find("preparation.datasets", name)
    if name == "combined":
        settings = module.Settings.parse({"parts": {"lsvq": {}, "kvq": {}}}, "here")
        wanted = ["lsvq", "kvq"]
    else:
        (tmp_path / "x").mkdir()
        settings = module.Settings.parse({**EXAMPLES[name](tmp_path / "x"), "folder": f"raw/{name}"}, "here")
        wanted = [name]
    with pytest.raises(DatasetError) as refused:
        module.collect(settings, tmp_path, 1, None)
    for part in wanted:
        assert f"data/raw/{part}/" in str(refused.value)
        assert "dvc add" in str(refused.value)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_it_can_be_prepared(tmp_path: Path, name: str, inline: None) -> None:
    """Files are hashed, counted, and their ends decoded; raw ones with the size that the adapter knows."""
    _, entries, _ = collected(tmp_path, name)
    options = EXAMPLES[name](tmp_path / "raw" / name)
    tables = prepared(tmp_path, name, options)
    assert [row.video_id for row in tables.videos] == [entry.video_id for entry in entries]
    for row in tables.videos:
        assert row.num_frames in (1, 2, 4)
        assert None not in (row.width, row.height)
        assert (row.fps is None) == (Path(row.path).suffix in {".png", ".jpg", ".bmp"}) or row.path.endswith(".yuv")
    placed = {entry.video_id: entry.split for entry in entries if entry.split}
    assert all(label.split == placed.get(label.video_id, label.split) for label in tables.labels)
    fixed = {entry.dataset for entry in entries if entry.split == "test"}
    drawn = [label.split for label, entry in zip(tables.labels, entries, strict=True) if not entry.split]
    if fixed == {entry.dataset for entry in entries}:
        assert "test" not in drawn


def test_official_splits_and_test_contents(tmp_path: Path) -> None:
    expected = {
        "bvi_hd": {"Music"},
        "waterloo_ivc_4k": {"01"},
        "lsvq": {"yfcc-batch1/728", "yfcc-batch1/722", "yfcc-batch1/724"},
        "kvq": {"val/000"},
        "vsfa_info": {"1"},
        "koniq10k": {"10007357496"},
        "maxwell": {"0000", "0012", "0014", "0015"},
        "flive": {"cj23478+019"},
        "konvid_150k": {f"orig_{n}_540_5s" for n in (10007436115, 10007901796, 10041796874, 10044664624)},
    }
    for name, contents in expected.items():
        entries = collected(tmp_path / name, name)[1]
        assert {entry.content for entry in entries if entry.split == "test"} == contents, name


def test_dmos_is_turned_and_can_be_turned_back(tmp_path: Path) -> None:
    for name, published in {"bvi_hd": 64.67, "live_vqa": 80.1, "live_iqa": 111.0, "csv": 99.0}.items():
        _, entries, scales = collected(tmp_path / name, name)
        scores = [entry.mos for entry in entries if entry.mos is not None]
        scale = scales[name]
        assert scale.published_direction == "lower_is_better"
        assert max(scale.turned(score) for score in scores) == published
        assert min(scores) == pytest.approx(scale.low + scale.high - published)
    assert collected(tmp_path / "kadid", "kadid10k")[2]["kadid10k"].published_direction == "higher_is_better"


def test_geometry_of_raw_video_comes_from_the_adapter(tmp_path: Path, inline: None) -> None:
    folder = tmp_path / "raw/live_vqa"
    folder.mkdir(parents=True)
    videos = prepared(tmp_path, "live_vqa", EXAMPLES["live_vqa"](folder)).videos
    assert {(video.width, video.height, video.num_frames, video.pix_fmt) for video in videos} == {
        (96, 64, 2, "yuv420p")
    }
    assert {video.fps for video in videos} == {25.0, 50.0}
    folder = tmp_path / "raw/bvi_hd"
    folder.mkdir(parents=True)
    formats = {
        video.video_id: video.pix_fmt for video in prepared(tmp_path, "bvi_hd", EXAMPLES["bvi_hd"](folder)).videos
    }
    assert formats["Boxing_96x64_30fps_SYNTH_QP27"] == "yuv420p10le"
    assert formats["Boxing_96x64_30fps_HEVC_QP27"] == "yuv420p"


def test_combined_keeps_scales_apart_and_prefixes(tmp_path: Path) -> None:
    _, entries, scales = collected(tmp_path, "combined")
    assert set(scales) == {"bvi_hd", "konvid_1k", "mine"}
    assert all(entry.video_id.startswith(f"{entry.dataset}/") for entry in entries)
    assert all(entry.content.startswith(f"{entry.dataset}/") for entry in entries)
    assert scales["mine"].high == 5.0
    module = registry.find("preparation.datasets", "combined")
    for parts, message in (
        ({"combined": {"parts": {}}}, "a part is one data set"),
        ({"a/b": {"dataset": "csv"}}, "without '/'"),
    ):
        with pytest.raises(DatasetError, match=message):
            module.scales(module.Settings.parse({"parts": parts}, "here"))
    with pytest.raises(DatasetError, match=r"parts.bvi_hdd: unknown dataset.*did you mean 'bvi_hd'\? or say"):
        module.scales(module.Settings.parse({"parts": {"bvi_hdd": {}}}, "here"))
    with pytest.raises(SettingsError, match=r"prepare.options.combined.parts.bvi_hd.foldr: unknown key"):
        module.scales(module.Settings.parse({"parts": {"bvi_hd": {"foldr": "x"}}}, "here"))


def test_every_problem_at_once_with_rows_and_nearest_names(tmp_path: Path) -> None:
    folder = tmp_path / "raw/csv"
    video(folder / "clips/one.mp4")
    rows = ["path,mos,split", "clips/one.mp4,high,train", "clips/ono.mp4,3,train", "one.mp4,4,tset", "../x.mp4,9,"]
    (folder / "labels.csv").write_text("\n".join(rows))
    settings = csv.Settings.parse({"low": 1.0, "high": 5.0, "columns": {"split": "split"}}, "here")
    with pytest.raises(DatasetError) as refused:
        csv.collect(settings, tmp_path, 1)
    told = str(refused.value)
    for part in (
        "labels.csv, row 2: got the score 'high'; expected a number",
        "labels.csv, row 3: no file clips/ono.mp4",
        "did you mean 'clips/one.mp4'?",
        "row 4: got the split 'tset'; expected train, val, test; did you mean 'test'?",
        "set prepare.options.csv.paths",
        "row 5: MOS is 9; the scale of csv is 1 to 5",
        "leaves the data root",
    ):
        assert part in told, told


def test_a_row_without_a_score_is_a_problem_unless_it_is_meant(tmp_path: Path) -> None:
    folder = tmp_path / "raw/csv"
    for name in ("a", "b"):
        video(folder / f"{name}.mp4")
    (folder / "labels.csv").write_text("path,mos\na.mp4,3\nb.mp4,\n")
    scale = {"low": 1.0, "high": 5.0}
    with pytest.raises(DatasetError, match=r"labels.csv, row 3: no score; set prepare.options.csv.unscored: keep"):
        csv.collect(csv.Settings.parse(scale, "here"), tmp_path, 1)
    kept = csv.collect(csv.Settings.parse(scale | {"unscored": "keep"}, "here"), tmp_path, 1)
    assert [entry.mos for entry in kept] == [3.0, None]
    without = csv.collect(csv.Settings.parse(scale | {"columns": {"mos": None}}, "here"), tmp_path, 1)
    assert [entry.mos for entry in without] == [None, None]


@pytest.mark.parametrize("name", ["folder", "labels_txt", "vsfa_info", "csv"])
def test_raw_video_whose_name_says_nothing_is_told_by_the_settings(tmp_path: Path, name: str, inline: None) -> None:
    folder = tmp_path / "raw" / name
    raw(folder / "plain.yuv", depth=10)
    raw(folder / "other.yuv", depth=10, seed=1)
    video(folder / "x.mp4")
    files = ["plain.yuv", "other.yuv", "x.mp4"]
    options: dict = {} if name == "folder" else {"low": 1.0, "high": 5.0}
    if name == "labels_txt":
        (folder / "labels.txt").write_text("".join(f"{file}, 2, -1, 3\n" for file in files))
    elif name == "csv":
        (folder / "labels.csv").write_text("path,mos\n" + "".join(f"{file},3\n" for file in files))
    elif name == "vsfa_info":
        tables = {"video_names": cells(files), "scores": np.array([[1.0, 2, 3]]), "ref_ids": np.array([[1.0, 2, 3]])}
        savemat(folder / "info.mat", tables)
        options["labels"] = "info.mat"
    with pytest.raises(ManifestError, match="plain"):
        prepared(tmp_path, name, options)
    told = {"raw": {"width": 96, "height": 64, "fps": 30.0, "pix_fmt": "yuv420p10le"}}
    found = {Path(video.path).name: video for video in prepared(tmp_path, name, options | told).videos}
    plain = found["plain.yuv"]
    assert (plain.width, plain.height, plain.fps, plain.pix_fmt) == (96, 64, 30.0, "yuv420p10le")
    assert found["x.mp4"].pix_fmt == "yuv420p"


def test_videos_that_are_no_longer_to_be_had_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, entries, _ = collected(tmp_path, "youtube_ugc")
    assert len(entries) == 3
    assert "prepare: youtube_ugc: 1 of 4 videos are not there and were left out" in capsys.readouterr().err
    with pytest.raises(DatasetError, match=r"no file .*Animation_1080P-0cdf"):
        collected(tmp_path / "again", "youtube_ugc", missing="fail")


def test_missing_videos_may_be_left_out_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, entries, _ = collected(tmp_path, "koniq10k")
    (tmp_path / entries[0].path).unlink()
    module = registry.find("preparation.datasets", "koniq10k")
    assert len(module.collect(module.Settings(missing="leave_out"), tmp_path, 1)) == len(entries) - 1
    assert "1 of 5 videos are not there" in capsys.readouterr().err


def test_settings_are_checked() -> None:
    for options, message in (
        ({"low": 5.0, "high": 1.0}, "expected low < high"),
        ({"low": 1.0, "high": 5.0, "content": "(a"}, "not a regular expression"),
        ({"low": 1.0, "high": 5.0, "content": "a"}, "no group"),
        ({"low": 1.0}, "high: missing"),
    ):
        with pytest.raises(SettingsError, match=message):
            csv.Settings.parse(options, "here")


def test_an_image_is_rendered_as_a_video_of_one_frame(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".bmp"):
        path = image(tmp_path / f"still%03d{suffix}", seed=77)
        digest = file_digest(path)
        policy = ViewPolicy(
            policy="resize", sampling="uniform", num_frames=4, size=32, interpolation="bilinear", antialias=True, grid=1
        )
        task = RenderTask(
            path=path, digest=digest, num_frames=1, policies={"main": policy}, num_views=1, decoder="auto", repeat=True
        )
        clips = render_video(task)
        assert isinstance(clips, Clips), clips
        assert clips.arrays["main"].shape == (1, 4, 32, 32, 3)
        assert (clips.arrays["main"][0, 0] == clips.arrays["main"][0, 3]).all()
