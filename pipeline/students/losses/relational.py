"""Relations within a batch: pairwise distances and angles of the embeddings, ``distance + 2·angle``.

``distance``: Huber(δ = 1) between ``|f_i − f_j|`` of student and teacher, each divided by its own mean over pairs.
``angle``: Huber between the cosines of the angle at j in every triple (i, j, k) of different rows. Widths may differ.

Ref: Park et al., Relational Knowledge Distillation, CVPR 2019 (weights 25 and 50 there; only their ratio is used here).
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, smooth_l1_loss

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("embedding_normed",)
ANGLE_WEIGHT = 2.0


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula. A batch of one row has no pairs and gives 0."""
    student, teacher = prediction.embedding, batch.targets["embedding_normed"]
    if len(student) < 2:
        return student.sum() * 0.0
    distance = smooth_l1_loss(_distances(student), _distances(teacher))
    if len(student) < 3:
        return distance
    return distance + ANGLE_WEIGHT * smooth_l1_loss(_angles(student), _angles(teacher))


def _distances(embedding: Tensor) -> Tensor:
    """Distances of all pairs, shape ``(b·(b − 1)/2,)``, with a mean of 1."""
    row, column = torch.triu_indices(len(embedding), len(embedding), offset=1, device=embedding.device)
    distances = (embedding[row] - embedding[column]).square().sum(-1).clamp(min=1e-12).sqrt()
    return distances / distances.mean()


def _angles(embedding: Tensor) -> Tensor:
    """Cosines at j for all triples (i, j, k) of different rows, shape ``(b·(b − 1)·(b − 2),)``."""
    size = len(embedding)
    directions = normalize(embedding.unsqueeze(0) - embedding.unsqueeze(1), dim=-1)
    cosines = torch.einsum("jid,jkd->jik", directions, directions)
    index = torch.arange(size, device=embedding.device)
    different = (
        (index[:, None, None] != index[None, :, None])
        & (index[:, None, None] != index[None, None, :])
        & (index[None, :, None] != index[None, None, :])
    )
    return cosines[different]
