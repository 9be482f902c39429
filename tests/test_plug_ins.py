"""A plug-in is one file: one of every kind, added to a clone, works from params.yaml in a run of all stages."""

import csv
import json
import shutil

import pytest
from ruamel.yaml import YAML

from cache.store import open_store
from tests.test_workflow import Project, git

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FILES = {
    "preparation/datasets": """
from dataclasses import replace
from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.embedded import Settings, collect as made

def scales(settings):
    return {"extra": ScoreScale(score_name="extra score", low=0.0, high=100.0)}

def collect(settings, data_root, workers, progress):
    return [replace(entry, dataset="extra") for entry in made(settings, data_root, workers, progress)]
""",
    "video/decoders": """
from dataclasses import replace
from pipeline.video.decoders import pyav

def available():
    return True

def version():
    return "extra 1"

def open(path, *, options):
    video = pyav.open(path, options=options)
    video.info = replace(video.info, decoder=version())
    return video
""",
    "rendering/policies": """
def place(policy, height, width, draws):
    return (height, width), ((0, 0),)
""",
    "teachers": """
from pipeline.teachers.shared.preprocessing import Preprocessing
PREPROCESSING = Preprocessing(family="extra", sampling="uniform", policy="resize", size=56, num_frames=8)
ARCHITECTURE = {
    "embed_dim": 48, "depth": 1, "num_heads": 3, "mlp_ratio": 2.0, "patch_size": 14, "tubelet_size": 2,
    "num_frames": 8, "image_size": 56, "pool_dim": 32, "pool_num_heads": 4,
}
""",
    "students": """
import torch
from torch import nn
from pipeline.core.settings import Section
from pipeline.students.shared.output import StudentOutput

class Settings(Section):
    width: int = 8

class Network(nn.Module):
    def __init__(self, settings, target_dim):
        super().__init__()
        self.body = nn.Linear(3, target_dim)
        self.head = nn.Linear(target_dim, 1)

    def forward(self, pixels):
        embedding = self.body(pixels.mean(dim=(2, 3, 4)))
        return StudentOutput(score=self.head(embedding).squeeze(-1), embedding=embedding)

def build(settings, *, target_dim, clip_shape):
    return Network(settings, target_dim)
""",
    "students/losses": """
NEEDS = ("mos",)

def loss(prediction, batch):
    return prediction.score.square().mean()
""",
    "evaluation/metrics": """
def extra(prediction, mos):
    return 42.0
""",
    "evaluation/baselines": """
import numpy as np

def predict(train, test, data, data_root):
    return np.linspace(0.0, 1.0, len(test))
""",
    "reporting/panels": """
from markupsafe import Markup
from pipeline.reporting.panels.shared.section import Section
TITLE = "Extra panel"
ORDER = 500

def section(run, settings):
    return Section("Nothing follows from this panel.", Markup("<p>its markup</p>"))
""",
}
"""Room → what ``extra.py`` holds there."""
CHOICES = {
    "prepare": {"dataset": "extra", "options": {"extra": {"contents": 12, "levels": 2, "num_frames": 16}}},
    "render": {
        "decoder": "extra",
        "views_per_video": 1,
        "view_sets": {
            "main": {"policy": "teacher"},
            "corner": {"policy": "extra", "sampling": "uniform", "num_frames": 8, "size": 56},
        },
    },
    "adapt": {"teacher": "extra", "epochs": 1},
    "extract": {"kinds": ["embedding", "embedding_normed", "logits"]},
    "distill": {
        "student": "extra",
        "view_set": "corner",
        "epochs": 1,
        "losses": {"mos_regression": 1.0, "feature_smoothl1": 0.05, "extra": 0.5},
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone with the nine files, chosen in params.yaml, after a run; no other file of it is changed."""
    project = Project(tmp_path_factory.mktemp("plug_ins") / "project")
    for room, text in FILES.items():
        place = project.folder / "pipeline" / room / "extra.py"
        place.write_text(f'"""A plug-in of the test."""\n{text}', encoding="utf-8")
    weights = project.folder / "models/pretrained/extra"
    shutil.copytree(project.folder / "models/pretrained/internvideo2_s14", weights)
    path, yaml = project.folder / "params.yaml", YAML()
    params = yaml.load(path)
    for section, values in CHOICES.items():
        params[section].update(values)
    yaml.dump(params, path)
    project.repro()
    return project


def test_only_new_files_and_the_settings_differ(project: Project) -> None:
    changed = [
        line for line in git(project.folder, "diff", "--name-only", "HEAD").split() if not line.startswith("results")
    ]
    assert set(changed) <= {"params.yaml", "dvc.lock", "data/.gitignore", "models/.gitignore"}


def test_the_data_set_the_decoder_and_the_policy_made_the_clips(project: Project) -> None:
    with (project.folder / "data/videos.csv").open(encoding="utf-8", newline="") as file:
        assert {row["dataset"] for row in csv.DictReader(file)} == {"extra"}
    clips = open_store(project.folder / "data/clips.zarr")
    assert clips.fingerprint["corner"]["view"]["policy"] == "extra"
    assert {str(name) for name in clips.column("corner_decoder")} == {"extra 1"}


def test_the_teacher_made_the_targets(project: Project) -> None:
    teacher = json.loads((project.folder / "models/teacher/teacher.json").read_text("utf-8"))
    assert teacher["teacher"] == "extra"
    fingerprint = open_store(project.folder / "data/targets.zarr").fingerprint["embedding"]
    assert fingerprint["weights_sha256"] == teacher["weights_sha256"]


def test_the_loss_trained_the_student(project: Project) -> None:
    with (project.folder / "results/distill/curves.csv").open(encoding="utf-8", newline="") as file:
        assert float(next(csv.DictReader(file))["extra_loss"]) > 0.0
    assert json.loads((project.folder / "models/student/config.json").read_text("utf-8"))["student"] == "extra"


def test_the_metric_and_the_baseline_are_among_the_figures(project: Project) -> None:
    figures = json.loads(project.metrics())
    assert {figures[predictor]["extra"] for predictor in ("student", "teacher", "extra")} == {42.0}


def test_the_panel_is_on_the_page(project: Project) -> None:
    page = (project.folder / "results/report/index.html").read_text(encoding="utf-8")
    assert "Extra panel" in page
    assert "Nothing follows from this panel." in page
