"""The ranking loss over chosen pairs, which two losses share.

Ref: the ranking loss in the released code of the group behind arXiv 2401.08522.
"""

import torch
from torch import Tensor


def ranking_loss(score: Tensor, mos: Tensor, labelled: Tensor, comparable: Tensor) -> Tensor:
    """``Σ_ij r_ij / (n·(n − 1)·(1 + max r))`` with ``r_ij = relu((s_i − s_j)·sign(y_j − y_i))``, over chosen pairs.

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
