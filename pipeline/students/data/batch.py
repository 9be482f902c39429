"""A batch of clips with its labels and targets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.models.staging import each_tensor

COLUMNS = ("mos", "group")
"""What a loss can need beside cached targets."""


@dataclass
class Batch:
    """What is known about a batch of clips.

    Attributes:
        clips: uint8, shape ``(b, t, h, w, c)``, 0 … 255, RGB.
        mos: float32, shape ``(b,)``; the score mapped linearly so that its scale's low and high ends are 0 and 1; 0
            where `labelled` is false.
        labelled: bool, shape ``(b,)``; whether `mos` may be used.
        targets: cached teacher outputs by name, float32, shape ``(b, …)``; ``teacher_score`` is the teacher's logit on
            the unit scale, shape ``(b,)``.
        group: int64, shape ``(b,)``; the distortion-level group, −1 where unknown.
        dataset: int64, shape ``(b,)``; number of the data set, since scores of two sets are no pair; None where there
            is one.
    """

    clips: Tensor
    mos: Tensor
    labelled: Tensor
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    group: Tensor | None = None
    dataset: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        moved: Batch = each_tensor(self, lambda tensor: tensor.to(device))
        return moved

    def groups(self) -> Tensor:
        """`group`, or −1 everywhere."""
        return self.group if self.group is not None else torch.full_like(self.labelled, -1, dtype=torch.int64)

    def datasets(self) -> Tensor:
        """`dataset`, or 0 everywhere."""
        return self.dataset if self.dataset is not None else torch.zeros_like(self.labelled, dtype=torch.int64)
