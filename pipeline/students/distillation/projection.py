"""What stands between a student and its losses in training, and is dropped when it is saved.

Linear projectors bring its vectors to the width of the cached targets. Where several data sets are learnt at once, a
rising line per set brings the one score of the student to that set's scale; after training, the calibration of each
set takes its place.
"""

import sys
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from pipeline.core.errors import PipelineError
from pipeline.core.registry import find
from pipeline.students.shared.model import StudentModel
from pipeline.students.shared.output import StudentOutput

_COMPARED = {"embedding": ("embedding", "embedding_normed"), "layers": ("layers",), "tokens": ("tokens",)}
"""What a student returns → the cached targets it is compared with."""


_OPTIONAL = ("layers", "tokens")
"""What only some students return."""


class ProjectionError(PipelineError):
    """The student has nothing that could be compared with a cached target."""


class SetScales(nn.Module):
    """``slope · score + offset`` per data set, with ``slope > 0``: sets agree on the order, not on the numbers."""

    def __init__(self, num_sets: int) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.zeros(num_sets))
        self.offset = nn.Parameter(torch.zeros(num_sets))

    def forward(self, score: Tensor, dataset: Tensor) -> Tensor:
        """Brings scores, shape ``(b,)``, to the unit scales of their data sets, int64 of the same shape."""
        return score * self.log_slope[dataset].exp() + self.offset[dataset]


class ProjectedStudent(nn.Module):
    """A student in training, its vectors and scores brought to what they are compared with where they differ."""

    def __init__(self, student: StudentModel, projectors: Mapping[str, nn.Linear], num_sets: int = 1) -> None:
        super().__init__()
        self.student = student
        self.projectors = nn.ModuleDict(projectors)
        self.set_scales = SetScales(num_sets) if num_sets > 1 else None

    def forward(self, clips: Tensor, dataset: Tensor | None = None) -> StudentOutput:
        """Scores uint8 ``b t h w c``; everything returned is float32.

        Args:
            clips: see `StudentModel`.
            dataset: int64, shape ``(b,)``, each row's data set; None leaves the scores on the student's own scale.
        """
        output = self.student(clips)
        score = output.score.float()
        return StudentOutput(
            score=score if self.set_scales is None or dataset is None else self.set_scales(score, dataset),
            embedding=output.embedding.float(),
            layers=None if output.layers is None else self._project("layers", output.layers).float(),
            tokens=None if output.tokens is None else self._project("tokens", output.tokens).float(),
            seen=output.seen,
            projected=self._project("embedding", output.embedding).float() if "embedding" in self.projectors else None,
        )

    def _project(self, name: str, vectors: Tensor) -> Tensor:
        return self.projectors[name](vectors) if name in self.projectors else vectors


def possible_losses(student: StudentModel, weights: Mapping[str, float]) -> dict[str, float]:
    """The losses with a weight that can be had with this student.

    One that compares layers or tokens, which some students do not have, is left out, with a line on standard error: a
    choice of student then needs no other setting.

    Args:
        student: as built.
        weights: loss name → weight, as in ``distill.losses``.
    """
    sample, possible = _sample(student), {}
    for name, weight in weights.items():
        lacking = [
            each for each in find("students.losses", name).NEEDS if each in _OPTIONAL and getattr(sample, each) is None
        ]
        if weight > 0.0 and lacking:
            print(
                f"distill: the loss {name!r} is left out: the student {student.config.student!r} has no {lacking[0]}",
                file=sys.stderr,
            )
        elif weight > 0.0:
            possible[name] = weight
    return possible


@torch.no_grad()
def _sample(student: StudentModel) -> StudentOutput:
    """The student's output for a black clip."""
    training = student.training
    sample = student.eval()(torch.zeros(1, *student.config.clip_shape, dtype=torch.uint8, device=student.device))
    student.train(training)
    return sample


def with_projectors(
    student: StudentModel, needs: Collection[str], target_shapes: Mapping[str, tuple[int, ...]], num_sets: int = 1
) -> ProjectedStudent:
    """Adds a projector wherever a loss compares vectors of different widths, and a line per data set if several.

    Args:
        student: as built.
        needs: the targets that the losses read.
        target_shapes: shape of one row of each of them.
        num_sets: data sets that are learnt at once.

    Raises:
        ProjectionError: a loss needs more of the student's layers than it has.
    """
    sample = _sample(student)
    _check_layers(student, sample, needs, target_shapes)
    projectors: dict[str, nn.Linear] = {}
    for name, compared in _COMPARED.items():
        widths = {target_shapes[target][-1] for target in compared if target in needs}
        vectors = getattr(sample, name)
        if widths and (width := widths.pop()) != vectors.shape[-1]:
            projectors[name] = nn.Linear(vectors.shape[-1], width)
    return ProjectedStudent(student, projectors, num_sets)


def _check_layers(
    student: StudentModel, sample: StudentOutput, needs: Collection[str], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    if "layers" not in needs:
        return
    got = 0 if sample.layers is None else sample.layers.shape[1]
    if got < shapes["layers"][0]:
        raise ProjectionError(
            f"the loss 'layers' has {shapes['layers'][0]} cached blocks to match; the student "
            f"{student.config.student!r} has {got}; cache fewer (extract.layers), take a deeper student, or set the "
            "loss's weight to 0"
        )
