"""Linear projectors that bring a student's vectors to the width of the cached targets; dropped when it is saved."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.losses import StudentOutput
from pipeline.students import StudentModel

_COMPARED_WITH_EMBEDDING = ("embedding", "embedding_normed")


class ProjectionError(PipelineError):
    """The student has nothing that could be compared with a cached target."""


class ProjectedStudent(nn.Module):
    """A student in training, its vectors brought to the teacher's width where they differ."""

    def __init__(self, student: StudentModel, projectors: Mapping[str, nn.Linear]) -> None:
        super().__init__()
        self.student = student
        self.projectors = nn.ModuleDict(projectors)

    def forward(self, clips: Tensor) -> StudentOutput:
        """Scores uint8 ``b t h w c``; everything returned is float32."""
        output = self.student(clips)
        return StudentOutput(
            score=output.score.float(),
            embedding=self._project("embedding", output.embedding).float(),
            layers=None if output.layers is None else self._project("layers", output.layers).float(),
        )

    def _project(self, name: str, vectors: Tensor) -> Tensor:
        return self.projectors[name](vectors) if name in self.projectors else vectors


def with_projectors(
    student: StudentModel, needs: Iterable[str], target_shapes: Mapping[str, tuple[int, ...]]
) -> ProjectedStudent:
    """Adds a projector wherever a loss compares vectors of different widths.

    Args:
        student: as built.
        needs: the targets that the losses read.
        target_shapes: shape of one row of each of them.

    Raises:
        ProjectionError: a loss needs the student's layers, and it has none or too few.
    """
    widths = {target_shapes[name][-1] for name in needs if name in _COMPARED_WITH_EMBEDDING}
    training = student.training
    with torch.no_grad():
        sample = student.eval()(torch.zeros(1, *student.config.clip_shape, dtype=torch.uint8, device=student.device))
    student.train(training)
    projectors: dict[str, nn.Linear] = {}
    if widths and (width := widths.pop()) != sample.embedding.shape[-1]:
        projectors["embedding"] = nn.Linear(sample.embedding.shape[-1], width)
    if "layers" in needs:
        wanted, width = target_shapes["layers"]
        got = 0 if sample.layers is None else sample.layers.shape[1]
        if got < wanted or sample.layers is None:
            raise ProjectionError(
                f"the loss 'layers' has {wanted} cached blocks to match; the student {student.config.student!r} has "
                f"{got}; cache fewer (extract.layers), take a deeper student, or set the loss's weight to 0"
            )
        if sample.layers.shape[-1] != width:
            projectors["layers"] = nn.Linear(sample.layers.shape[-1], width)
    return ProjectedStudent(student, projectors)
