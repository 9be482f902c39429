"""``distill.initial``: a student begins with a trained one's values, or says why it cannot."""

import pytest
import torch

from pipeline.students.shared.model import StudentError, create_student
from tests.pipeline.students.test_students import CLIP_SHAPE, TARGET_DIM, TINY, make_student

NAME = "internvideo2"


@pytest.fixture
def trained(tmp_path):
    student = make_student(NAME, seed=7)
    student.save_pretrained(tmp_path / "trained")
    return tmp_path / "trained", student


def begin(folder, **options):
    return create_student(NAME, TINY[NAME] | options, target_dim=TARGET_DIM, clip_shape=CLIP_SHAPE, initial=folder)


def test_begins_with_the_trained_values(trained):
    folder, student = trained
    torch.manual_seed(8)
    begun = begin(folder).state_dict()
    assert all(torch.equal(begun[name], value) for name, value in student.state_dict().items())


def test_another_network_is_refused_with_what_differs(trained):
    with pytest.raises(StudentError, match=r"has another network: .*expected .*give distill\.options the options"):
        begin(trained[0], embed_dim=16)
    with pytest.raises(StudentError, match=r"encoder\.blocks\.1\..* is unknown"):
        begin(trained[0], depth=1)


def test_a_folder_without_a_student_of_this_kind_is_refused(trained, tmp_path):
    with pytest.raises(StudentError, match=r"distill\.initial: cannot read a trained student"):
        begin(tmp_path / "missing")
    config = trained[0] / "config.json"
    config.write_text(config.read_text().replace('"student": "internvideo2"', '"student": "other"'))
    with pytest.raises(StudentError, match="is a student 'other'; expected 'internvideo2'"):
        begin(trained[0])
