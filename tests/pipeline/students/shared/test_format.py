"""Saved students carry a version: an older one opens, a newer one is refused with what to do."""

import json
from pathlib import Path

import pytest

from pipeline.scoring.record import ScoringRecord
from pipeline.students.shared.format import MODEL_FORMAT, ModelFormatError
from pipeline.students.shared.model import load_student
from tests.scoring_models import save_student


def rewritten(folder: Path, version: object) -> dict[str, object]:
    path = save_student(folder) / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    assert config.pop("format_version") == MODEL_FORMAT
    config |= {} if version is None else {"format_version": version}
    path.write_text(json.dumps(config), encoding="utf-8")
    return config


@pytest.mark.parametrize("version", [None, MODEL_FORMAT])
def test_a_student_of_this_version_or_before_there_were_any_opens(tmp_path: Path, version: int | None) -> None:
    config = rewritten(tmp_path, version)
    assert load_student(tmp_path).config.format_version == MODEL_FORMAT
    assert ScoringRecord.of(config).num_views


@pytest.mark.parametrize("version", [MODEL_FORMAT + 1, 0, "new"])
def test_a_newer_student_is_refused(tmp_path: Path, version: object) -> None:
    config = rewritten(tmp_path, version)
    with pytest.raises(ModelFormatError, match="reads 1 to .*; update teachonce, or run distill again"):
        ScoringRecord.of(config)
    if isinstance(version, int):
        with pytest.raises(ModelFormatError):
            load_student(tmp_path)
