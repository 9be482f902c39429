"""Settings: every mistake is named with its key, what was got, what is allowed, and the nearest right name."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.core.settings import SettingsError
from stages.params import Params, load_params
from tests.imports import ROOT

PARAMS = ROOT / "params.yaml"


@pytest.fixture
def values() -> dict[str, Any]:
    return YAML(typ="safe").load(PARAMS)


def test_the_shipped_settings_are_valid() -> None:
    assert load_params(PARAMS).render.views_per_video >= 1


@pytest.mark.parametrize(
    ("place", "key", "value", "said"),
    [
        (("distill",), "epohcs", 3, "distill.epohcs: unknown key"),
        (("distill",), "epohcs", 3, "did you mean 'epochs'?"),
        (("adapt",), "epochs", -1, "adapt.epochs: got -1"),
        (("adapt",), "learning_rate", "1e-3", "adapt.learning_rate: got '1e-3'"),
        (("extract",), "dtype", "f16", "'float16', 'bfloat16' or 'float32'"),
        (("render", "view_sets", "main"), "polcy", "x", "did you mean 'policy'?"),
        (("distill",), "view_set", "mian", "did you mean 'main'?"),
        (("prepare", "split"), "val", 0.9, "leaves nothing to train on"),
        (("runtime",), "workers", 0, "runtime.workers: got 0"),
        (("prepare",), "dataset", "embeded", "prepare.dataset: got 'embeded'; unknown dataset 'embeded'; known: "),
        (("render",), "decoder", "pyaw", "did you mean 'pyav'?"),
        (("render", "view_sets", "main"), "policy", "resise", "did you mean 'resize'?"),
        (("render", "view_sets", "main"), "policy", "techer", "did you mean 'teacher'?"),
        (("adapt",), "teacher", "internvideo2_tinny", "did you mean 'internvideo2_tiny'?"),
        (("distill",), "student", "fragment", "did you mean 'fragments'?"),
        (
            ("distill", "losses"),
            "mos_regresion",
            1.0,
            "distill.losses.mos_regresion: got 'mos_regresion'; unknown",
        ),
        (("distill", "options"), "fragment", {}, "distill.options.fragment: got 'fragment'; unknown student"),
        (("prepare", "options"), "embeded", {}, "did you mean 'embedded'?"),
        (("adapt",), "learning_rate", float("nan"), "adapt.learning_rate: got nan"),
    ],
)
def test_a_wrong_value_is_explained(
    values: dict[str, Any], place: tuple[str, ...], key: str, value: Any, said: str
) -> None:
    section = values
    for part in place:
        section = section[part]
    section[key] = value
    with pytest.raises(SettingsError) as error:
        Params.parse(values, "")
    assert said in str(error.value)


def test_every_problem_is_reported_at_once(values: dict[str, Any]) -> None:
    values["adapt"]["epochs"] = -1
    values["distill"]["epochs"] = 0
    del values["report"]["title"]
    with pytest.raises(SettingsError) as error:
        Params.parse(values, "")
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prepare: [1, 2", "not valid YAML"),
        ("- 1", "got list; expected one mapping"),
        ("", "got NoneType; expected one mapping"),
        ("adapt: {}\nadapt: {}", 'line 2: not valid YAML: found duplicate key "adapt"'),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_broken_file_is_explained(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        load_params(path)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        load_params(tmp_path / "params.yaml")


def test_floats_read_as_dvc_reads_them(tmp_path: Path, values: dict[str, Any]) -> None:
    path = tmp_path / "params.yaml"
    text = PARAMS.read_text(encoding="utf-8")
    assert "  learning_rate: 0.001" in text
    path.write_text(text.replace("  learning_rate: 0.001", "  learning_rate: 1e-3"), encoding="utf-8")
    assert load_params(path).adapt.learning_rate == 0.001
