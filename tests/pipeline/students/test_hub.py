"""Student folders are Hugging Face models. The hub itself is stood in for by its file layout: nothing is uploaded."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import CommitOperationAdd
from transformers import AutoConfig, AutoModel

from pipeline.scoring.scorer import QualityScorer
from pipeline.students.shared.model import StudentConfig, StudentModel, load_student
from tests.scoring_models import make_student, save_student
from tests.videos import write_video

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path):
    """A hub cache that holds ``someone/student``, as a download leaves it."""
    repository = tmp_path / "hub/models--someone--student"
    save_student(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    return tmp_path / "hub"


def test_auto_classes_know_student_folders(tmp_path):
    save_student(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), StudentConfig)
    model = AutoModel.from_pretrained(tmp_path)
    assert isinstance(model, StudentModel)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_a_student_is_loaded_by_its_hub_name(hub):
    loaded = AutoModel.from_pretrained("someone/student", cache_dir=hub, local_files_only=True)
    expected = make_student().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())


def test_what_is_pushed_is_a_student(tmp_path, monkeypatch):
    """``push_to_hub`` gives weights and configuration to the hub's interface, from which the same student is loaded."""
    stand_in = _Hub(tmp_path / "copy")
    monkeypatch.setattr("transformers.utils.hub.hf_api", lambda: stand_in)
    monkeypatch.setattr("transformers.utils.hub.create_and_tag_model_card", lambda *_, **__: _Card())
    student = load_student(save_student(tmp_path / "model"))
    student.push_to_hub("someone/student")
    video = write_video(tmp_path / "v.mp4", num_frames=20)
    here, there = (QualityScorer.from_pretrained(tmp_path / name) for name in ("model", "copy"))
    with here, there:
        assert (here.model, here.score(video)) == (there.model, there.score(video))


class _Hub:
    """Keeps what is committed in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create_repo(self, repo_id: str, **_: object) -> SimpleNamespace:
        return SimpleNamespace(repo_id=repo_id)

    def create_commit(self, *, operations: list[CommitOperationAdd], **_: object) -> None:
        self.folder.mkdir()
        for operation in operations:
            with operation.as_file() as file:
                (self.folder / operation.path_in_repo).write_bytes(file.read())


class _Card:
    def save(self, path: str) -> None:
        Path(path).write_text("card")
