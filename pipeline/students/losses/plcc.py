"""Linear correlation: ``(1 − ρ)/4 + (1 − ρ²)/8`` with ρ the correlation of predicted and true scores in the batch.

Equal to the mean of ``MSE(ŝ, ŷ)/4`` and ``MSE(ρ·ŝ, ŷ)/4`` on standardised scores. Rows without a score are left out.
With rows of several data sets it is the mean over those that have two rows or more.

Ref: the PLCC loss in the released code of the group behind arXiv 2401.08522.
"""

import torch
from torch import Tensor

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("mos",)
EPSILON = 1e-8


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar in 0 … 0.5; see the module's formula. 0 with fewer than two rows that have a score."""
    numbers, counts = batch.datasets()[batch.labelled].unique(return_counts=True)
    terms = [
        _of_one_set(prediction.score[rows], batch.mos[rows])
        for rows in (batch.labelled & (batch.datasets() == number) for number in numbers[counts > 1])
    ]
    return torch.stack(terms).mean() if terms else prediction.score.sum() * 0.0


def _of_one_set(score: Tensor, mos: Tensor) -> Tensor:
    correlation = (_standardised(score) * _standardised(mos)).mean()
    return (1.0 - correlation) / 4.0 + (1.0 - correlation**2) / 8.0


def _standardised(values: Tensor) -> Tensor:
    centred = values - values.mean()
    return centred / torch.sqrt(centred.square().mean() + EPSILON)
