"""Losses: one file each, found by its name (a key of ``distill.losses``) and weighted there.

A loss file has two things: ``NEEDS``, the columns of the batch it reads (names of cached targets, ``mos`` or
``group``), and ``loss(prediction, batch)``, which returns a scalar. Rows without a usable score never enter a term
that reads ``mos``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from pipeline.registry import find

COLUMNS = ("mos", "group")
"""What a loss can need beside cached targets."""


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
        return Batch(
            clips=self.clips.to(device),
            mos=self.mos.to(device),
            labelled=self.labelled.to(device),
            targets={name: values.to(device) for name, values in self.targets.items()},
            group=None if self.group is None else self.group.to(device),
            dataset=None if self.dataset is None else self.dataset.to(device),
        )

    def groups(self) -> Tensor:
        """`group`, or −1 everywhere."""
        return self.group if self.group is not None else torch.full_like(self.labelled, -1, dtype=torch.int64)

    def datasets(self) -> Tensor:
        """`dataset`, or 0 everywhere."""
        return self.dataset if self.dataset is not None else torch.zeros_like(self.labelled, dtype=torch.int64)


class Loss(Protocol):
    """What ``loss`` in a loss file must be callable as."""

    def __call__(self, prediction: StudentOutput, batch: Batch) -> Tensor:
        """Returns a scalar: the mean over the rows or pairs it applies to, 0 (gradient 0) where there are none."""
        ...


@dataclass(frozen=True)
class WeightedLosses:
    """The losses of a run, with their weights."""

    terms: Mapping[str, tuple[float, Loss]]
    needs: Sequence[str]

    def __call__(self, prediction: StudentOutput, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Returns the weighted sum, and each unweighted term's value by name."""
        total = prediction.score.new_zeros(())
        values: dict[str, float] = {}
        for name, (weight, loss) in self.terms.items():
            term = loss(prediction, batch)
            total = total + weight * term
            values[name] = float(term.detach())
        return total, values


def weighted_losses(weights: Mapping[str, float]) -> WeightedLosses:
    """Looks up the losses whose weight is not 0.

    Args:
        weights: loss name → weight, as in ``distill.losses``.

    Raises:
        UnknownName: there is no such loss.
    """
    modules = {name: find("losses", name) for name in sorted(weights)}
    chosen = {name: module for name, module in modules.items() if weights[name] > 0.0}
    needs = sorted({need for module in chosen.values() for need in module.NEEDS})
    return WeightedLosses({name: (weights[name], module.loss) for name, module in chosen.items()}, needs)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask`` is true; 0 (with a gradient of 0) where it is nowhere true.

    Args:
        values: any shape.
        mask: bool, same shape.
    """
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)
