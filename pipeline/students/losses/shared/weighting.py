"""Losses: one file each, found by its name (a key of ``distill.losses``) and weighted there.

A loss file has two things: ``NEEDS``, the columns of the batch it reads (names of cached targets, ``mos`` or
``group``), and ``loss(prediction, batch)``, which returns a scalar. Rows without a usable score never enter a term
that reads ``mos``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pipeline.core.registry import find
from pipeline.students.data.batch import Batch
from pipeline.students.shared.output import StudentOutput


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
    modules = {name: find("students.losses", name) for name in sorted(weights)}
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
