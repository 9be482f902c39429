import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.settings import SettingsError
from pipeline.preparation.datasets import embedded
from pipeline.preparation.datasets.shared.made import Made
from pipeline.synthesis.encoding import CODECS, decode
from pipeline.synthesis.sources import HELD_OUT

SMALL = {"contents": 3, "codecs_per_content": 2, "levels": 2, "num_frames": 8, "sizes": [[128, 112]]}


def _digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_bytes_and_scores_for_any_number_of_workers(tmp_path):
    settings = embedded.Settings.parse(SMALL, "here")
    seen = []
    one = embedded.collect(settings, tmp_path / "one", 1, lambda done, total: seen.append((done, total)))
    two = embedded.collect(settings, tmp_path / "two", 2)
    assert one == two
    assert _digests(tmp_path / "one/videos") == _digests(tmp_path / "two/videos")
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(one) == 12
    assert [entry.video_id for entry in one] == sorted({entry.video_id for entry in one})
    for entry in one:
        assert 0 <= entry.mos <= 100
        assert entry.dataset == "embedded"
        assert entry.split is None
        video = decode(tmp_path / "one" / entry.path)
        assert (video.shape.width, video.shape.height, video.shape.num_frames) == (128, 112, 8)


def test_what_other_settings_left_behind_is_removed(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "older.mp4").write_bytes(b"x")
    (folder / ".older.mkv.partial").write_bytes(b"x")
    (folder / "notes.txt").write_text("kept")
    settings = embedded.Settings.parse({**SMALL, "contents": 1, "codecs_per_content": 1, "codecs": ["h264"]}, "here")
    entries = embedded.collect(settings, tmp_path, 1)
    assert sorted(_digests(folder)) == sorted(["notes.txt", *(entry.path.split("/")[1] for entry in entries)])


def test_what_was_made_before_is_not_made_again(tmp_path, monkeypatch):
    settings = embedded.Settings.parse({**SMALL, "contents": 1, "codecs_per_content": 1, "codecs": ["h264"]}, "here")
    first = embedded._make_content((settings, 0, tmp_path, Made(tmp_path / "kept")))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    bytes_before = [(tmp_path / Path(entry.path).name).read_bytes() for entry in first]
    for entry in first:
        (tmp_path / Path(entry.path).name).unlink()
    monkeypatch.setattr(embedded, "render", None)
    assert embedded._make_content((settings, 0, tmp_path, Made(tmp_path / "kept"))) == first
    assert [(tmp_path / Path(entry.path).name).read_bytes() for entry in first] == bytes_before
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    other = embedded.Settings.parse(
        {**SMALL, "contents": 1, "codecs_per_content": 1, "codecs": ["h264"], "seed": 8}, "here"
    )
    with pytest.raises(TypeError):
        embedded._make_content((other, 0, tmp_path, Made(tmp_path / "kept")))


def _all_ladders(settings):
    return [ladder for index in range(settings.contents) for ladder in embedded.ladders(settings, index)]


def test_the_ladders_mix_codecs_and_spread_crf():
    settings = embedded.Settings()
    rungs = [rung for ladder in _all_ladders(settings) for rung in ladder.rungs]
    codecs = Counter(rung.codec for rung in rungs)
    assert set(codecs) == set(CODECS)
    assert max(codecs.values()) < 1.1 * min(codecs.values())
    pairs = {
        (index % len(settings.families), embedded.ladders(settings, index)[0].rungs[0].codec) for index in range(40)
    }
    assert len(pairs) == len(settings.families) * len(CODECS)
    for codec in CODECS:
        low, high = settings.crf[codec]
        levels = np.array([rung.crf for rung in rungs if rung.codec == codec])
        assert low <= levels.min() < low + 3
        assert high - 3 < levels.max() <= high
    share = np.mean([ladder.rungs[0].scale < 1 for ladder in _all_ladders(settings)])
    assert share == pytest.approx(settings.low_resolution, abs=0.1)


def test_the_rungs_of_a_ladder_differ_in_crf_alone():
    for ladder in _all_ladders(embedded.Settings(codecs_per_content=3, levels=5)):
        assert len(ladder.rungs) == 5
        assert len({replace(rung, crf=0) for rung in ladder.rungs}) == 1
        assert [rung.crf for rung in ladder.rungs] == sorted(rung.crf for rung in ladder.rungs)


def test_the_ladders_of_a_content_have_different_codecs():
    settings = embedded.Settings(codecs_per_content=4)
    for index in range(8):
        assert {ladder.rungs[0].codec for ladder in embedded.ladders(settings, index)} == set(CODECS)


def test_some_ladders_are_of_the_second_generation():
    settings = embedded.Settings()
    share = np.mean([ladder.upload is not None for ladder in _all_ladders(settings)])
    assert share == pytest.approx(settings.second_generation, abs=0.1)
    assert embedded.ladders(settings, 1) == embedded.ladders(settings, 1)
    none = settings.model_copy(update={"second_generation": 0.0})
    assert all(ladder.upload is None for ladder in _all_ladders(none))


def test_the_families_are_unknown_to_the_pretraining():
    assert set(embedded.Settings().families) <= set(HELD_OUT)


def test_scale_is_named_for_what_it_is():
    scale = embedded.scales(embedded.Settings())["embedded"]
    assert (scale.score_name, scale.low, scale.high) == ("pseudo-MOS (MS-SSIM)", 0.0, 100.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"families": ["watr"]}, "did you mean 'water'"),
        ({"content": 3}, "did you mean 'contents'"),
        ({"codecs": ["h265"]}, "h264"),
        ({"codecs": ["h264"], "codecs_per_content": 2}, "name more codecs"),
        ({"sizes": [[321, 180]]}, "multiple of 2"),
        ({"crf": {"h264": [40, 20]}}, "lowest and a higher CRF"),
    ],
)
def test_wrong_settings_are_explained(values, message):
    with pytest.raises(SettingsError, match=message):
        embedded.Settings.parse(values, "prepare.options.embedded")
