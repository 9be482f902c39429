"""Dense features: ``mean SmoothL1(LN(z_student) − LN(z_teacher))`` with beta = 2, over every cell of the cached
token grid that holds a token of the student.

``LN`` is LayerNorm without learnt scale or shift, over the channels of one cell. The student's grid is averaged to the
teacher's cached one (``extract.tokens_grid``). One clip gives as many targets as it has cells, each about what is seen
there, so far fewer videos are needed than for one vector per clip.

Ours: InternVQA's feature loss, applied to tokens.
"""

from torch import Tensor
from torch.nn.functional import layer_norm, smooth_l1_loss

from pipeline.losses import Batch, StudentOutput

NEEDS = ("tokens",)
BETA = 2.0


def loss(prediction: StudentOutput, batch: Batch) -> Tensor:
    """Scalar; see the module's formula.

    Raises:
        ValueError: the student returns no tokens, or its grid is not a multiple of the cached one.
    """
    target = batch.targets["tokens"]
    if prediction.tokens is None:
        raise ValueError("the loss 'tokens' needs a student with a grid of tokens; this one has none")
    width = target.shape[-1:]
    grid = tuple(target.shape[1:4])
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
        grid: wanted ``(t', h', w')``, each a divisor of its side.

    Returns:
        Shape ``(b, t', h', w', d)``.

    Raises:
        ValueError: a side is not a multiple of the wanted one.
    """
    sides = tokens.shape[1:4]
    if any(side % wanted for side, wanted in zip(sides, grid, strict=True)):
        raise ValueError(f"the student's token grid {tuple(sides)} is not a multiple of the cached grid {grid}")
    cells = tokens
    for axis, wanted in enumerate(grid):
        at = 1 + 2 * axis
        cells = cells.unflatten(at, (wanted, -1))
    return cells.mean(dim=(2, 4, 6))
