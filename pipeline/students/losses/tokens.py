"""Dense features: ``mean SmoothL1(LN(z_student) − LN(z_teacher))`` with beta = 2, over every cell of the cached
token grid (``extract.tokens_grid``) that holds a token of the student.

``LN`` is LayerNorm without learnt scale or shift, over the channels of one cell. Where the grids differ, both are
averaged to the coarser side of each axis; a token that lies across two cells counts in each by its share. One clip
gives as many targets as it has cells, each about what is seen there, so far fewer videos are needed than for one vector
per clip.

Ours: InternVQA's feature loss, applied to tokens.
"""

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, smooth_l1_loss

from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput

NEEDS = ("tokens",)
BETA = 2.0


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula.

    Raises:
        ValueError: the student returns no tokens.
    """
    target = batch.targets["tokens"]
    if prediction.tokens is None:
        raise ValueError("the loss 'tokens' needs a student with a grid of tokens; this one has none")
    width = target.shape[-1:]
    grid = tuple(min(sides) for sides in zip(prediction.tokens.shape[1:4], target.shape[1:4], strict=True))
    target = averaged_to(target, grid)
    seen = prediction.seen
    if seen is None:
        student = averaged_to(prediction.tokens, grid)
    else:
        share = averaged_to(seen[None, ..., None].to(prediction.tokens.dtype), grid)
        known = share[0, ..., 0] > 0
        student = (averaged_to(prediction.tokens * seen[..., None], grid) / share.clamp(min=1e-6))[:, known]
        target = target[:, known]
    return smooth_l1_loss(layer_norm(student, width), layer_norm(target, width), beta=BETA)


def averaged_to(tokens: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Averages a token grid to a smaller one.

    Args:
        tokens: shape ``(b, t, h, w, d)``.
        grid: wanted ``(t', h', w')``, no side longer than its own.

    Returns:
        Shape ``(b, t', h', w', d)``.
    """
    cells, sides = tokens, tuple(tokens.shape[1:4])
    if all(side % wanted == 0 for side, wanted in zip(sides, grid, strict=True)):
        for axis, wanted in enumerate(grid):
            cells = cells.unflatten(1 + 2 * axis, (wanted, -1))
        return cells.mean(dim=(2, 4, 6))
    for axis, wanted in enumerate(grid, start=1):
        cells = torch.tensordot(cells, _shares(sides[axis - 1], wanted).to(cells), dims=([axis], [1])).movedim(-1, axis)
    return cells


def _shares(side: int, wanted: int) -> Tensor:
    """How much of each cell each token covers: shape ``(wanted, side)``, rows sum to 1."""
    cell = torch.arange(wanted)[:, None] * (side / wanted)
    token = torch.arange(side)[None, :]
    common = torch.minimum(cell + side / wanted, token + 1) - torch.maximum(cell, token)
    return common.clamp(min=0.0) * (wanted / side)
