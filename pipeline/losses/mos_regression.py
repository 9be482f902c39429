"""Squared error of the predicted score: ``mean over labelled rows of (s − y)²``, both on the unit scale.

Ref: InternVQA (arXiv 2502.19026), the L2 term between student score and MOS.
"""

from torch import Tensor

from pipeline.losses import Batch, StudentOutput, masked_mean

NEEDS = ("mos",)


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula."""
    return masked_mean((prediction.score - batch.mos) ** 2, batch.labelled)
