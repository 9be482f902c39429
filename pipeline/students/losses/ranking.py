"""Order of the scores: ``Σ_ij r_ij / (n·(n − 1)·(1 + max r))`` with ``r_ij = relu((s_i − s_j)·sign(y_j − y_i))``.

A pair costs what its predictions are in the wrong order by; the division by the largest bounds the gradient. The n
rows are those with a score. Two rows of different data sets are no pair: each set has a scale of its own.

Ref: the ranking loss in the released code of the group behind arXiv 2401.08522.
"""

import torch
from torch import Tensor

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("mos",)


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula. 0 with fewer than two rows that have a score."""
    dataset = batch.datasets()
    return ranking_loss(prediction.score, batch.mos, batch.labelled, dataset[:, None] == dataset[None, :])


def ranking_loss(score: Tensor, mos: Tensor, labelled: Tensor, comparable: Tensor) -> Tensor:
    """The formula over chosen pairs.

    Args:
        score: predicted, shape ``(b,)``.
        mos: true, shape ``(b,)``.
        labelled: bool, shape ``(b,)``.
        comparable: bool, shape ``(b, b)``, symmetric; the pairs that count.
    """
    pairs = comparable & labelled[:, None] & labelled[None, :]
    pairs = pairs & ~torch.eye(len(score), dtype=torch.bool, device=score.device)
    wrong = torch.relu((score[:, None] - score[None, :]) * torch.sign(mos[None, :] - mos[:, None]))
    wrong = torch.where(pairs, wrong, 0.0)
    return wrong.sum() / (pairs.sum().clamp(min=1) * (1.0 + wrong.max()))
