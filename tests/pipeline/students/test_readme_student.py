"""The student in ``docs/adding.md`` is complete: put into the folder, it passes the conformance test and learns."""

import inspect
import re
from pathlib import Path

import pytest
import torch

import pipeline.students.shared.model
from pipeline.core import registry
from pipeline.students.distillation.projection import with_projectors
from pipeline.students.losses.shared.weighting import weighted_losses
from pipeline.students.shared.model import create_student
from tests.imports import ROOT
from tests.pipeline.students import test_students

DOCUMENT = ROOT / "docs/adding.md"
CONFORMANCE = [name for name in dir(test_students.TestEveryStudent) if name.startswith("test_")]


@pytest.fixture
def name(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    [code] = [block for block in blocks if block.startswith("# pipeline/students/")]
    lines = [line for line in code.splitlines()[1:] if line.strip()]
    assert len(lines) <= 30
    path = Path(code.splitlines()[0].removeprefix("# "))
    room = tmp_path_factory.mktemp("room")
    (room / path.name).write_text(code, encoding="utf-8")
    monkeypatch.setattr(pipeline.students, "__path__", [*pipeline.students.__path__, str(room)])
    listed = registry.names
    monkeypatch.setattr(registry, "names", lambda room: [*listed(room), *([path.stem] if room == "students" else [])])
    return path.stem


@pytest.mark.parametrize("conformance", CONFORMANCE)
def test_passes_the_conformance_test(name, conformance, tiny_paths, tmp_path):
    method = getattr(test_students.TestEveryStudent(), conformance)
    fixtures = {"name": name, "tiny_paths": tiny_paths, "tmp_path": tmp_path}
    method(**{key: fixtures[key] for key in inspect.signature(method).parameters})


def test_learns_from_the_cache(name, tiny_data):
    torch.manual_seed(0)
    student = create_student(name, {}, target_dim=tiny_data.cached.width, clip_shape=tiny_data.clip_shape)
    losses = weighted_losses({"mos_regression": 1.0, "feature_smoothl1": 1.0})
    rows = [entry.rows[0] for entry in tiny_data.split("train")]
    batch = tiny_data.batch(rows, losses.needs)
    model = with_projectors(student, losses.needs, {"embedding_normed": (tiny_data.cached.width,)})
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    values = []
    for _ in range(20):
        total, _ = losses(model(batch.clips), batch)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        values.append(total.item())
    assert values[-1] < 0.5 * values[0]
