"""The StylePrompt benchmark in miniature: two data sets, three ways, paired."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import style_prompt
from cache import open_store
from pipeline.manifest import read_labels, read_videos
from pipeline.params import Params, load_params
from tests.pipeline.test_extraction import write_teacher
from tests.tiny_run import write_tiny_run

ROOT = Path(__file__).parents[2]
TINY = {"width": 16, "depths": [1, 1], "patch_size": 4, "window": 3}


@pytest.fixture
def params() -> Params:
    whole = load_params(ROOT / "params.yaml")
    evaluate = whole.evaluate.model_copy(update={"bootstrap": 100})
    options = {style_prompt.STUDENT: TINY}
    losses = {"mos_regression": 1.0, "feature_smoothl1": 0.05}
    distill = {"epochs": 1, "threads": 1, "batch_size": 8, "options": options, "losses": losses}
    return whole.model_copy(
        update={
            "distill": whole.distill.model_copy(update=distill),
            "evaluate": evaluate,
            "runtime": whole.runtime.model_copy(update={"workers": 1, "device": "cpu"}),
        }
    )


def test_three_ways_are_paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = write_tiny_run(tmp_path / "one"), write_tiny_run(tmp_path / "two")
    trained = style_prompt.train(params.distill, first, tmp_path / "base")
    found = list(style_prompt.run(params, trained, second, seed=1, epochs=1))
    rows = [*found, *({**row, "seed": 2, "srcc": row["srcc"] - 0.1} for row in found)]
    assert [row["way"] for row in rows] == ["none", "style_prompt", "full"] * 2
    assert set(rows[0]) == set(style_prompt.COLUMNS)
    by_way = {row["way"]: row for row in rows}
    assert by_way["none"]["trained"] == 0
    assert 0 < by_way["style_prompt"]["trained"] < 0.2 * by_way["full"]["trained"]
    assert by_way["full"]["share"] == 1.0
    text = style_prompt.summary(rows)
    assert "style_prompt minus full, paired over 2 seeds" in text
    style_prompt.write_table(tmp_path / "table.csv", rows)
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 7


@pytest.mark.slow
def test_the_second_set_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write_teacher(style_prompt.TEACHER)
    paths = style_prompt.second_set(
        params, tmp_path / "second", contents=2, levels=2, num_frames=16, sizes=[[128, 112]]
    )
    assert paths == replace(paths, clips=tmp_path / "second/clips.zarr")
    labels = read_labels(paths.labels)
    assert {label.codec for label in labels} <= set(style_prompt.SECOND_CODECS)
    families = {label.content.split("-", 1)[1] for label in labels}
    assert not families & set(style_prompt.embedded.Settings.parse({}, "").families)
    views = params.render.views_per_video
    assert len(open_store(paths.targets)) == views * len(read_videos(paths.videos)) == views * 4
