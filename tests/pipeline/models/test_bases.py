"""Students read without transformers' model code are the same to the last bit, and nothing else is read so."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.registry import names
from pipeline.models import bases
from pipeline.scoring.predictors import load_predictor
from tests.imports import ROOT
from tests.pipeline.students.test_students import TINY
from tests.scoring_models import POLICY, make_student, save_student
from tests.videos import write_video

OWN = ("internvideo2", "fragments", "qmamba")
"""Students that are made of nothing of transformers'."""

LOAD = """
import json, sys
import numpy as np
from pipeline.models import bases
from pipeline.scoring.predictors import load_predictor, start_lightly

told, clips = {}, np.load(sys.argv[1])
for folder in sys.argv[2:]:
    start_lightly(folder)
    predictor = load_predictor(folder)
    score, embedding = predictor(clips)
    told[folder] = [bases.is_plain(), "transformers" in sys.modules, predictor.digest, score.tobytes().hex(),
                    embedding.tobytes().hex()]
print(json.dumps(told))
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def make_clips(path: Path) -> Path:
    shape = (3, POLICY.num_frames, POLICY.size, POLICY.size, 3)
    np.save(path, np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return path


def test_every_student_is_the_same_to_the_last_bit(tmp_path):
    ordered = [*OWN, *(name for name in names("students") if name not in OWN)]
    clips = make_clips(tmp_path / "clips.npy")
    for name in ordered:
        make_student(name, TINY.get(name, {})).save_pretrained(tmp_path / name)
    done = run(LOAD, clips, *(tmp_path / name for name in ordered))
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    for name in ordered:
        predictor = load_predictor(tmp_path / name)
        score, embedding = predictor(np.load(clips))
        plain, imported, *values = told[str(tmp_path / name)]
        assert plain
        assert imported is (name not in OWN)
        assert values == [predictor.digest, score.tobytes().hex(), embedding.tobytes().hex()], name


def test_the_command_scores_without_transformers_what_it_scores_with_it(tmp_path):
    video, model = write_video(tmp_path / "a.mp4", num_frames=40, texture=True), save_student(tmp_path / "model")
    code = (
        "import sys; from pipeline.commands.cli import main\n{first}\ntry:\n    main()\nexcept SystemExit as ended:\n"
        "    heavy = sorted({{'transformers', 'scipy.optimize', 'torch'}} & sys.modules.keys())\n"
        "    print(ended.code, heavy, file=sys.stderr)"
    )
    words = ("score", video, "--json", "--model", model)
    light = run(code.format(first=""), *words)
    heavy = run(code.format(first="import pipeline.models.bases as bases; bases.is_plain()"), *words)
    assert light.stderr.split("\n")[0] == "0 ['torch']"
    assert heavy.stderr.split("\n")[0] == "0 ['scipy.optimize', 'torch', 'transformers']"
    assert light.stdout == heavy.stdout
    assert json.loads(light.stdout)[0]["status"] == "ok"


def test_what_is_no_ordinary_folder_is_left_to_transformers(tmp_path):
    model = save_student(tmp_path / "model")
    odd = {name: shutil.copytree(model, tmp_path / name) for name in ("half", "sharded", "broken", "list")}
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (odd["half"] / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}), encoding="utf-8")
    (odd["sharded"] / "model.safetensors").rename(odd["sharded"] / "model-00001-of-00001.safetensors")
    (odd["broken"] / "config.json").write_text("{", encoding="utf-8")
    (odd["list"] / "config.json").write_text("[]", encoding="utf-8")
    code = "import sys; from pipeline.scoring.predictors import *; start_lightly(sys.argv[1]); print(bases.is_plain())"
    for folder in (*odd.values(), tmp_path / "nowhere", "someone/student"):
        assert run(code, folder).stdout == "False\n", folder
    assert run(code, model).stdout == "True\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"none"), "cannot load a student"),
        (lambda folder: _change(folder, target_dim=64), "are not those of its network"),
        (lambda folder: _change(folder, options={"variant": "huge"}), "config.json: options of internvideo2"),
        (lambda folder: _change(folder, student="../x"), "unknown student"),
        (lambda folder: _change(folder, format_version=99), "format version 99"),
        (lambda folder: _change(folder, clip_shape="x"), "cannot load a student"),
        (lambda folder: _change(folder, calibrations=None), "does not say how its clips are made"),
        (lambda folder: _change(folder, calibrations=[1]), "run distill again"),
        (lambda folder: _change(folder, view="view decoder short"), "run distill again"),
        (lambda folder: _change(folder, domain={"mean": "x"}), "run distill again"),
        (lambda folder: _change(folder, num_views="many"), "run distill again"),
    ],
)
def test_a_damaged_folder_is_told_in_one_line(tmp_path, damage, message):
    model = save_student(tmp_path / "model")
    damage(model)
    video = write_video(tmp_path / "a.mp4", num_frames=30)
    done = run("from pipeline.commands.cli import main; main()", "score", video, "--model", model)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def _change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_a_process_that_has_models_keeps_their_bases():
    from pipeline.students.shared.model import StudentModel

    assert not bases.without_transformers()
    assert hasattr(StudentModel, "push_to_hub")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        bases.nonsense  # noqa: B018
