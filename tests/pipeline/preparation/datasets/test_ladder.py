"""Pristine videos in, a labelled ladder out; what is finished is never encoded again."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from cache.store.scratch import scratch_folder
from pipeline.core.settings import SettingsError
from pipeline.preparation.datasets import ladder
from pipeline.preparation.datasets.shared import full_reference as _full_reference
from pipeline.preparation.datasets.shared import sources
from pipeline.preparation.datasets.shared import vmaf as _vmaf
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.made import Made
from pipeline.synthesis import fullreference
from pipeline.synthesis.encoding import EncodingError, Recipe, decode, encode
from pipeline.synthesis.planes import Shape
from pipeline.synthesis.sources import render
from pipeline.video.decoder import DecodeOptions
from pipeline.video.decoders import auto
from pipeline.video.pictures import Box
from tests.videos import write_raw, write_video

SMALL = {"crf": {"h264": [23, 45], "vp9": [60]}, "max_frames": 6, "scored_frames": 6}


@pytest.fixture
def pristine(tmp_path: Path) -> Path:
    folder = tmp_path / "raw/ladder/parks"
    folder.mkdir(parents=True)
    source = render("ground", ("ladder", 1), Shape(192, 176, 8))
    planes = [np.concatenate([plane[index].ravel() for plane in (source.y, source.u, source.v)]) for index in range(8)]
    (folder / "park one_192x176_25fps.yuv").write_bytes(np.concatenate(planes).tobytes())
    return folder


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were really encoded; work is done in this process."""
    names: list[str] = []
    encode = ladder.encode

    class Here:
        def __init__(self, *_) -> None: ...

        def map(self, function, tasks):
            return ((index, function(task)) for index, task in enumerate(tasks))

    def counted(source, recipe, **more):
        names.append(f"{recipe.codec} {recipe.crf} {recipe.scale:g}")
        return encode(source, recipe, **more)

    monkeypatch.setattr(ladder, "LocalWorkers", Here)
    monkeypatch.setattr(ladder, "encode", counted)
    return names


def collect(root: Path, **options) -> list:
    return ladder.collect(ladder.Settings.parse({**SMALL, **options}, "here"), root, 1)


def test_every_rung_is_made_scored_and_kept(tmp_path: Path, pristine: Path, encoded: list[str]) -> None:
    entries = collect(tmp_path)
    assert [entry.video_id for entry in entries] == [
        "park one_192x176_25fps_h264_23",
        "park one_192x176_25fps_h264_45",
        "park one_192x176_25fps_vp9_60",
    ]
    good, bad, _ = (entry.mos for entry in entries)
    assert 0 <= bad < good <= 100
    for entry in entries:
        assert entry.content == "park one_192x176_25fps"
        assert decode(tmp_path / entry.path).shape == Shape(192, 176, 6)
    assert encoded == ["h264 23 1", "h264 45 1", "vp9 60 1"]
    (tmp_path / entries[0].path).unlink()
    (tmp_path / "videos/ladder/older.mp4").write_bytes(b"x")
    assert collect(tmp_path) == entries
    assert len(encoded) == 3
    assert not (tmp_path / "videos/ladder/older.mp4").exists()


def test_a_new_level_or_size_makes_that_one_alone(tmp_path: Path, pristine: Path, encoded: list[str]) -> None:
    collect(tmp_path)
    del encoded[:]
    entries = collect(tmp_path, crf={"h264": [23, 33, 45], "vp9": [60]}, sizes=[1.0, 0.5])
    assert sorted(encoded) == ["h264 23 0.5", "h264 33 0.5", "h264 33 1", "h264 45 0.5", "vp9 60 0.5"]
    small = next(entry for entry in entries if entry.video_id.endswith("h264_23_0.5"))
    assert decode(tmp_path / small.path).shape == Shape(96, 88, 6)
    assert small.mos < next(entry.mos for entry in entries if entry.video_id.endswith("h264_23"))


def test_another_score_is_another_scale(tmp_path: Path, pristine: Path, encoded: list[str]) -> None:
    entries = collect(tmp_path, score="psnr")
    assert all(15 < entry.mos < 50 for entry in entries)
    assert ladder.scales(ladder.Settings(score="psnr"))["ladder"].score_name == "pseudo-MOS (PSNR, dB)"


def test_the_library_agrees_with_the_measure_of_the_embedded_data() -> None:
    source = render("ground", ("ladder", 2), Shape(192, 176, 4)).y
    noise = np.random.default_rng(1).normal(0, 12, source.shape)
    distorted = np.clip(source + noise, 0, 255).astype(np.uint8)
    assert _full_reference.ms_ssim(source, distorted) == pytest.approx(
        fullreference.ms_ssim(source, distorted), abs=1e-3
    )
    assert _full_reference.psnr(source, distorted) == pytest.approx(fullreference.psnr(source, distorted), abs=1e-3)
    assert _full_reference.psnr(source, source) == _full_reference.MAX_DB
    assert _full_reference.ms_ssim(source, source) == pytest.approx(1.0)
    with pytest.raises(DatasetError, match="192x100 px; ms_ssim takes sides of 176 px"):
        _full_reference.ms_ssim(source[:, :100], distorted[:, :100])


def test_a_source_too_small_for_its_score_is_told_before_anything_is_encoded(
    tmp_path: Path, pristine: Path, encoded: list[str]
) -> None:
    write_raw(pristine / "tiny_96x64_25fps.yuv", width=96, height=64, num_frames=8)
    with pytest.raises(DatasetError, match=r"tiny_96x64_25fps\.yuv: got 96x64 px; ms_ssim takes sides of 176 px"):
        collect(tmp_path)
    assert encoded == []
    assert len(collect(tmp_path, score="psnr")) == 6


def test_processes_change_nothing(tmp_path: Path, pristine: Path) -> None:
    settings = ladder.Settings.parse({**SMALL, "crf": {"h264": [40]}}, "here")
    seen: list[tuple[int, int]] = []
    entries = ladder.collect(settings, tmp_path, 2, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1)]
    assert Made(scratch_folder(tmp_path)).find("0" * 64) is None
    assert (tmp_path / entries[0].path).is_file()


def test_every_problem_is_named_before_anything_is_encoded(
    tmp_path: Path, pristine: Path, encoded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (pristine / "notes.txt").write_text("mine")
    (pristine / "text.mp4").write_text("hello")
    write_video(pristine / "tiny.mp4", num_frames=4)
    write_raw(pristine.parent / "park one_192x176_25fps.y4m", num_frames=8, width=192, height=176)
    with pytest.raises(DatasetError) as refused:
        collect(tmp_path)
    for part in ("text.mp4: not a readable video", "tiny.mp4: got 96x64 px", "have one name"):
        assert part in str(refused.value)
    assert encoded == []
    assert len(collect(tmp_path, max_failed=3)) == 3
    told = capsys.readouterr().err
    for part in ("taken for no video: parks/notes.txt", "3 of 3 encodes, about 0.1 min", "left out: ", "text.mp4"):
        assert part in told


def test_a_rung_that_cannot_be_made_costs_its_source(
    tmp_path: Path, pristine: Path, encoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(pristine / "second.mp4", width=192, height=176, num_frames=6)
    made = ladder.encode

    def refusing(source, recipe, **more):
        if recipe.crf == 45 and source.y[0].mean() < 100:
            raise EncodingError("no")
        return made(source, recipe, **more)

    monkeypatch.setattr(ladder, "encode", refusing)
    with pytest.raises(ladder.LadderError, match=r"second_h264_45\.mp4 could not be made: no"):
        collect(tmp_path)
    assert {entry.content for entry in collect(tmp_path, max_failed=1)} == {"park one_192x176_25fps"}


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("plain.mp4", {}),
        ("ten.mp4", {"codec": "libx265", "pix_fmt": "yuv420p10le"}),
        ("odd.mkv", {"codec": "ffv1", "pix_fmt": "yuv444p", "width": 193, "height": 177}),
        ("rgb.mkv", {"codec": "ffv1", "pix_fmt": "bgr0"}),
        ("grey.mkv", {"codec": "ffv1", "pix_fmt": "gray"}),
        ("packed.mov", {"codec": "rawvideo", "pix_fmt": "uyvy422"}),
        ("full.mp4", {"full_range": True}),
        ("hd_matrix.mp4", {"matrix": 1}),
    ],
)
def test_whatever_decodes_is_a_source_of_the_same_colours(tmp_path: Path, name: str, video: dict) -> None:
    path = write_video(tmp_path / name, num_frames=2, texture=True, **{"width": 192, "height": 176, **video})
    source = sources.look_at(path)
    assert isinstance(source, sources.Source)
    planes = sources.read(source, 2)
    assert planes.shape == Shape(192, 176, 2)
    file = encode(planes, Recipe(codec="h264", crf=1, preset="ultrafast", fps=source.fps), matrix=source.matrix)
    made = tmp_path / "made.mp4"
    made.write_bytes(file)
    box = Box(0, 0, 176, 192)
    with auto.open(path, options=DecodeOptions()) as one, auto.open(made, options=DecodeOptions()) as two:
        for (_, first), (_, second) in zip(one.frames([0, 1]), two.frames([0, 1]), strict=True):
            difference = first.region(box).astype(int) - second.region(box)
            assert np.abs(difference.mean(axis=(0, 1))).max() < 1.5
            assert np.abs(difference).mean() < (25 if name in ("odd.mkv", "rgb.mkv", "packed.mov") else 4)


def test_what_cannot_be_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="data/raw/ladder"):
        collect(tmp_path, folder="raw/none")
    for options, message in (
        ({"presets": {"h264": "placebo"}}, "known: ultrafast"),
        ({"sizes": [2.0]}, "less than or equal to 1"),
        ({"crf": {"h264": [99]}}, "less than or equal to 63"),
    ):
        with pytest.raises(SettingsError, match=message):
            ladder.Settings.parse(options, "here")


def test_vmaf_is_refused_without_ffmpeg_and_read_with_one(
    tmp_path: Path, pristine: Path, encoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(DatasetError, match="no ffmpeg on the PATH"):
        collect(tmp_path, score="vmaf")
    ffmpeg = programs / "ffmpeg"
    told = '{"pooled_metrics": {"vmaf": {"mean": 71.5}}}'
    for answer, problem in (("plain", "without libvmaf"), ("libvmaf", None)):
        ffmpeg.write_text(
            f"#!/bin/sh\ncase $* in *-filters) echo {answer};; *-version) echo ffmpeg 9;; "
            f"*) test -f reference.y4m || exit 1; echo '{told}' > vmaf.json;; esac\n"
        )
        ffmpeg.chmod(ffmpeg.stat().st_mode | stat.S_IXUSR)
        if problem:
            with pytest.raises(DatasetError, match=problem):
                _vmaf.find_vmaf()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/bin:/usr/bin")
    assert {entry.mos for entry in collect(tmp_path, score="vmaf")} == {71.5}
