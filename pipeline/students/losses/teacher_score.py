"""Squared error against the teacher's cached score: ``mean over all rows of (s − s_teacher)²``, both on the unit scale.

Needs no opinion score, so it also teaches from unlabelled videos. Ours: InternVQA has no such term.
"""

from torch import Tensor

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("teacher_score",)


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula."""
    return ((prediction.score - batch.targets["teacher_score"]) ** 2).mean()
