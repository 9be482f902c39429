"""An initial value for a plain Conv3d stem: whitened discrete cosine transforms of luma and chroma.

A patch embedding trained from scratch on few videos learns nothing for a long time, because natural pixels are almost
all low frequency while compression shows in the high ones. A DCT with each coefficient divided by its usual deviation
in natural video hands the first block every frequency at the same strength.

Ref: Ahmed, Natarajan, Rao, "Discrete Cosine Transform" (1974); Field, "Relations between the statistics of natural
images and the response properties of cortical cells" (1987) for amplitudes that fall with frequency. The order and the
constants are ours.
"""

import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.core.errors import PipelineError

_Frequency = tuple[tuple[float, float, float], int, int, int]
_LUMA = (0.299, 0.587, 0.114)
_BLUE = (-0.168736, -0.331264, 0.5)
_RED = (0.5, -0.418688, -0.081312)
_CHROMA_PENALTY = 3.0  # chroma is subsampled and coarsely quantised, so its upper half carries little
_TIME_PENALTY = 2.0  # one temporal step counts as two spatial ones: most frames differ little from the next
_PIXEL_STD = 0.7  # of a patch's mean, in normalised pixels; this and the next two were fitted to three 720p clips
_CHROMA_STD = 0.25  # of a chroma coefficient relative to luma's
_FEW = 8  # of a spread stem's channels, one in so many looks at chroma, and as many at what changes in time
_STEP_STD = 0.25  # of a coefficient that changes within the tubelet relative to one that does not


class StemError(PipelineError, ValueError):
    """A convolution that is no patch stem."""


def dct_basis(length: int) -> Tensor:
    """Returns the orthonormal DCT-II basis, float64 ``frequency position``."""
    position = torch.arange(length, dtype=torch.float64)
    frequency = position[:, None]
    basis = torch.cos(math.pi * (2 * position[None, :] + 1) * frequency / (2 * length)) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis


def _order(channels: int, time: int, rows: int, columns: int) -> list[_Frequency]:
    """Chooses the first ``channels`` (colour, t, row, column) frequencies, from low to high."""
    ranked = []
    for colour, (t, row, column) in itertools.product(
        (_LUMA, _BLUE, _RED), itertools.product(range(time), range(rows), range(columns))
    ):
        radius = math.sqrt((_TIME_PENALTY * t) ** 2 + row**2 + column**2)
        rank = radius if colour is _LUMA else _CHROMA_PENALTY * (radius + 1)
        ranked.append((rank, colour, t, row, column))
    ranked.sort(key=lambda entry: entry[0])
    return [(colour, t, row, column) for _, colour, t, row, column in ranked[:channels]]


def _spread(channels: int, time: int, rows: int, columns: int) -> list[_Frequency]:
    """Chooses frequencies over the whole range: of luma, some that change in time, and the lowest of chroma."""
    ranked = _order(3 * time * rows * columns, time, rows, columns)
    still = [entry for entry in ranked if entry[0] is _LUMA and entry[1] == 0]
    moving = [entry for entry in ranked if entry[0] is _LUMA and entry[1] > 0]
    chroma = [entry for entry in ranked if entry[0] is not _LUMA and entry[1] == 0]
    few = channels // _FEW
    return [
        *_evenly(still, channels - few * (2 if moving else 1)),
        *(_evenly(moving[: len(moving) // 2], few) if moving else []),
        *chroma[:few],
    ]


def _evenly(entries: list[_Frequency], count: int) -> list[_Frequency]:
    """At most ``count`` entries, at equal distances, the first among them."""
    count = min(count, len(entries))
    return [entries[place * len(entries) // count] for place in range(count)]


def _deviation(colour: tuple[float, float, float], t: int, row: int, column: int) -> float:
    """Returns the usual deviation of one coefficient relative to that of a constant patch of one."""
    deviation = _PIXEL_STD / (1 + math.hypot(row, column)) ** 2
    if colour is not _LUMA:
        deviation *= _CHROMA_STD
    return deviation * _STEP_STD if t else deviation


@torch.no_grad()
def init_dct(conv: nn.Conv3d, *, frequencies: Literal["lowest", "spread"] = "lowest") -> None:
    """Overwrites a patch stem's weights with whitened DCT filters and zeroes its bias.

    On natural video every output has a deviation of about 1. Where the stem has more channels than there are
    frequencies, the rest keep their values.

    Args:
        conv: from 3 channels (normalised RGB), with stride = kernel size.
        frequencies: which of them, where the stem has fewer channels: the lowest, or some of all. A narrow stem of the
            lowest does not see where compression shows first.

    Raises:
        StemError: the convolution has other channels or overlapping patches.
    """
    if conv.in_channels != 3 or conv.groups != 1 or tuple(conv.stride) != tuple(conv.kernel_size):
        raise StemError(
            f"got a convolution of {conv.in_channels} channels, kernel {tuple(conv.kernel_size)}, stride "
            f"{tuple(conv.stride)}; expected 3 RGB channels and stride = kernel"
        )
    time, rows, columns = conv.kernel_size
    bases = [dct_basis(length) for length in (time, rows, columns)]
    choose = _order if frequencies == "lowest" else _spread
    for channel, (colour, t, row, column) in enumerate(choose(conv.out_channels, time, rows, columns)):
        cube = bases[0][t][:, None, None] * bases[1][row][:, None] * bases[2][column]
        deviation = _deviation(colour, t, row, column) * math.sqrt(time * rows * columns)
        weights = torch.tensor(colour, dtype=torch.float64)[:, None, None, None] * cube / deviation
        conv.weight[channel] = weights.to(conv.weight)
    if conv.bias is not None:
        conv.bias.zero_()
