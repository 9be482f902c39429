"""What a student returns for a batch of clips."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class StudentOutput:
    """What a student says about a batch of clips.

    Attributes:
        score: shape ``(b,)``, on the unit scale of `Batch.mos`, not calibrated.
        embedding: shape ``(b, d)``.
        layers: mean-pooled tokens after each block, shape ``(b, depth, d')``; None when the student has no such blocks.
        tokens: the last block's tokens on their grid, shape ``(b, t', h', w', d')``; None when it has no such grid.
        seen: bool, shape ``(t', h', w')``; the tokens that there are, where a training step left some out.
        projected: in training, the embedding at the teacher's width; None where it has that width itself.
    """

    score: Tensor
    embedding: Tensor
    layers: Tensor | None = None
    tokens: Tensor | None = None
    seen: Tensor | None = None
    projected: Tensor | None = None

    @property
    def compared(self) -> Tensor:
        """What a loss holds against the teacher's embedding, column by column."""
        return self.embedding if self.projected is None else self.projected
