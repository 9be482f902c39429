"""Order of the scores: ``Σ_ij r_ij / (n·(n − 1)·(1 + max r))`` with ``r_ij = relu((s_i − s_j)·sign(y_j − y_i))``.

A pair costs what its predictions are in the wrong order by; the division by the largest bounds the gradient. The n
rows are those with a score. Two rows of different data sets are no pair: each set has a scale of its own.

Ref: the ranking loss in the released code of the group behind arXiv 2401.08522.
"""

from torch import Tensor

from pipeline.students.data.batch import Batch
from pipeline.students.losses.shared.pairs import ranking_loss
from pipeline.students.shared.output import StudentOutput

NEEDS = ("mos",)


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula. 0 with fewer than two rows that have a score."""
    dataset = batch.datasets()
    return ranking_loss(prediction.score, batch.mos, batch.labelled, dataset[:, None] == dataset[None, :])
