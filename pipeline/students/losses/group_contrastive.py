"""Coarse term of the coarse-to-fine strategy: embeddings of one distortion-level group attract, those of others repel.

``mean over rows i with a positive of −1/|P(i)| · Σ_{p ∈ P(i)} log( exp(c_ip/τ) / Σ_{a ≠ i} exp(c_ia/τ) )``, with
``c`` the cosine of two embeddings, ``P(i)`` the other rows of i's group and τ = 0.1. Rows without a group are left out.

Ref: arXiv 2401.08522 names a group-contrastive loss between bitrate groups and does not give its formula; the
supervised contrastive form (Khosla et al., NeurIPS 2020) is our choice.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.students.data.batch import Batch
from pipeline.students.losses.shared.weighting import masked_mean
from pipeline.students.shared.output import StudentOutput

NEEDS = ("group",)
TEMPERATURE = 0.1


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula. 0 when no row of the batch shares its group with another."""
    group = batch.groups()
    known = group >= 0
    embedding = normalize(prediction.embedding[known], dim=-1)
    group = group[known]
    if len(group) < 2:
        return prediction.embedding.sum() * 0.0
    itself = torch.eye(len(group), dtype=torch.bool, device=group.device)
    logits = (embedding @ embedding.T / TEMPERATURE).masked_fill(itself, -torch.inf)
    log_probability = torch.log_softmax(logits, dim=1).masked_fill(itself, 0.0)
    positive = (group[:, None] == group[None, :]) & ~itself
    per_row = -(log_probability * positive).sum(1) / positive.sum(1).clamp(min=1)
    return masked_mean(per_row, positive.any(1))
