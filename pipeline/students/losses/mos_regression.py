"""Squared error of the predicted score: ``(1/b) · Σ over labelled rows of (s − y)²``, both on the unit scale, b rows.

A label weighs the same however few there are: beside it the other rows have the teacher's score, and a mean over the
labelled ones alone would count the one label of a batch for all sixteen. That choice is ours.

Ref: InternVQA (arXiv 2502.19026), the L2 term between student score and MOS.
"""

import torch
from torch import Tensor

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("mos",)


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula."""
    return torch.where(batch.labelled, (prediction.score - batch.mos) ** 2, 0.0).mean()
