"""The StylePrompt benchmark in miniature: two data sets, three ways, paired."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import style_prompt
from cache import open_store
from pipeline.aligned import DataPaths
from pipeline.manifest import read_labels, read_videos
from pipeline.params import Params, load_params
from pipeline.students import StudentError
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
    trained = style_prompt.train(params, first, tmp_path / "base")
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


def test_the_base_is_trained_once_and_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    monkeypatch.chdir(tmp_path)
    first, devices = write_tiny_run(tmp_path / "one"), []
    distil = style_prompt.distil

    def noted(*arguments: Any, device: str = "auto", **more: Any) -> Any:
        devices.append(device)
        return distil(*arguments, device=device, **more)

    monkeypatch.setattr(style_prompt, "distil", noted)
    trained = style_prompt.train(params, first, tmp_path / "base")
    before = style_prompt.weights_digest(trained)
    assert style_prompt.train(params, first, tmp_path / "base") == trained
    assert devices == ["cpu"]
    longer = params.model_copy(update={"distill": params.distill.model_copy(update={"learning_rate": 5e-3})})
    style_prompt.train(longer, first, tmp_path / "base")
    assert devices == ["cpu", "cpu"]
    assert style_prompt.weights_digest(trained) != before


def test_a_stopped_study_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params) -> None:
    monkeypatch.chdir(tmp_path)
    paths, ran = write_tiny_run(tmp_path), []
    (tmp_path / "base").mkdir()
    (tmp_path / "base/model.safetensors").write_bytes(b"weights")
    stops = [2]

    def made_up(given: Params, trained: Path, second: DataPaths, *, seed: int, epochs: int) -> Iterator[dict[str, Any]]:
        if seed in stops:
            raise KeyboardInterrupt
        ran.append((seed, epochs, given.distill.threads))
        values = dict.fromkeys(style_prompt.COLUMNS[2:], 0.5) | {"trained": 3}
        yield from ({"seed": seed, "way": way} | values for way in ("none", "style_prompt", "full"))

    def study(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["style_prompt", "--student", "base", *arguments])
        style_prompt.main()

    monkeypatch.setattr(style_prompt, "run", made_up)
    monkeypatch.setattr(style_prompt, "second_set", lambda *arguments, **more: paths)
    monkeypatch.setattr(style_prompt, "load_params", lambda: params)
    with pytest.raises(KeyboardInterrupt):
        study("--seeds", "1", "2", "--threads", "2")
    stops.clear()
    study("--seeds", "1", "2", "--threads", "2")
    assert ran == [(1, 12, 2), (2, 12, 2)]
    assert len((style_prompt.RESULTS / "table.csv").read_text(encoding="utf-8").splitlines()) == 7
    study("--seeds", "1", "--threads", "2", "--epochs", "3")
    (tmp_path / "base/model.safetensors").write_bytes(b"others")
    study("--seeds", "1", "--threads", "2", "--epochs", "3")
    assert ran[2:] == [(1, 3, 2), (1, 3, 2)]
    (tmp_path / "base/model.safetensors").unlink()
    with pytest.raises(StudentError, match=r"got base, which has no model\.safetensors; expected"):
        study("--seeds", "1")


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
