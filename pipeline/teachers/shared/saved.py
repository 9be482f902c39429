"""``models/teacher/``: an adapted teacher's weights and ``teacher.json``, written and read here alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.core.files import file_digest
from pipeline.models.internvideo2 import InternVideo2
from pipeline.teachers.shared.preprocessing import Preprocessing

DESCRIPTION = "teacher.json"
WEIGHTS = "model.safetensors"
TEACHER_FORMAT = 1
"""Raised when a reader of the version before would misread ``models/teacher/``; without a number it is 1."""


class TeacherError(PipelineError):
    """``models/teacher/`` cannot be used."""


@dataclass(frozen=True, kw_only=True)
class SavedTeacher:
    """A teacher that `adapt` wrote.

    Attributes:
        folder: its weights and configuration.
        description: ``teacher.json`` without the version of its format.
        weights_sha256: of the weights that lie in the folder.
    """

    folder: Path
    description: Mapping[str, Any]
    weights_sha256: str

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """The fields of `Preprocessing`."""
        return dict(self.description["preprocessing"])


def save_teacher(
    model: InternVideo2, folder: Path, *, teacher: str, view_set: str, adapted: bool, preprocessing: Preprocessing
) -> None:
    """Writes a teacher: its weights, its configuration and ``teacher.json``.

    Args:
        model: on the CPU.
        folder: an empty one.
        teacher: a file of ``pipeline/teachers/``.
        view_set: the clips that it was adapted on.
        adapted: whether it was trained here, or passed through.
        preprocessing: how its clips are made.
    """
    model.eval().save_pretrained(folder)
    description = {
        "format_version": TEACHER_FORMAT,
        "teacher": teacher,
        "view_set": view_set,
        "adapted": adapted,
        "weights_sha256": file_digest(folder / WEIGHTS),
        "preprocessing": asdict(preprocessing),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def load_teacher(folder: Path) -> SavedTeacher:
    """Reads what ``adapt`` wrote, but for the weights themselves.

    Raises:
        TeacherError: the folder has no readable description or no weights, or a newer version of TeachOnce wrote it.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        digest = file_digest(folder / WEIGHTS)
    except (OSError, ValueError, RecursionError) as error:
        raise TeacherError(f"cannot read {folder}: {error}; run the stage adapt first") from None
    if not isinstance(description, dict) or (missing := {"weights_sha256", "preprocessing"} - description.keys()):
        got = f"no {', '.join(sorted(missing))}" if isinstance(description, dict) else type(description).__name__
        raise TeacherError(f"{path}: got {got}; expected what adapt writes; run the stage adapt again")
    version = description.pop("format_version", TEACHER_FORMAT)
    if type(version) is not int or not 1 <= version <= TEACHER_FORMAT:
        raise TeacherError(
            f"{path}: got a teacher of format version {version!r}; this version of TeachOnce reads 1 to "
            f"{TEACHER_FORMAT}; update teachonce, or run adapt again"
        )
    return SavedTeacher(folder=folder, description=description, weights_sha256=digest)
