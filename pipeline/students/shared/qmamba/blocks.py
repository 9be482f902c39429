"""One block of the vision state-space model: a scan through local windows, then a perceptron.

The mixer is Mamba-2's with VMamba's two changes for pictures: a 3 × 3 depth-wise convolution before the scan, and step
sizes, ``B`` and ``C`` read from what it gives. Frames whose sides the window does not divide are filled up with tokens
of step size 0, which change nothing.

Ref: VMamba (arXiv 2401.10166), section 4; Mamba-2 (arXiv 2405.21060), section 7. Left out: stochastic depth.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.students.shared.qmamba.scan import NUM_ORDERS, selective_scan

_STEP_RANGE = (0.01, 0.3)
"""First step sizes, log-uniform over the heads. Mamba-2 has 0.001 … 0.1, for texts ten times as long as a frame."""
_RATE_RANGE = (1.0, 16.0)


class WindowMixer(nn.Module):
    """Mixes the tokens of each frame by scans in four orders.

    Args:
        width: of a token, a multiple of 4 · ``head_dim``.
        head_dim: channels of a head.
        num_states: of each head's memory, per channel.
        window: side of a window, tokens.
    """

    def __init__(self, width: int, *, head_dim: int, num_states: int, window: int) -> None:
        super().__init__()
        self.num_heads, self.num_states, self.window = width // head_dim, num_states, window
        self.enter = nn.Linear(width, 2 * width)
        self.conv = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.select = nn.Linear(width, 2 * NUM_ORDERS * num_states + self.num_heads, bias=False)
        steps = torch.empty(self.num_heads).uniform_(*map(math.log, _STEP_RANGE)).exp()
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
        self.log_rate = nn.Parameter(torch.empty(self.num_heads).uniform_(*_RATE_RANGE).log())
        self.skip = nn.Parameter(torch.ones(self.num_heads))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, width)

    def forward(self, maps: Tensor) -> Tensor:
        """Mixes ``n h w c``; returns the same shape."""
        values, gate = self.enter(maps).chunk(2, dim=-1)
        values = F.silu(self.conv(values.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        num_selected = NUM_ORDERS * self.num_states
        into, out_of, steps = self.select(values).split([num_selected, num_selected, self.num_heads], dim=-1)
        steps = F.softplus(steps + self.step_bias)
        height, width = maps.shape[1:3]
        sides = min(self.window, height), min(self.window, width)
        x = divided(values, sides).unflatten(-1, (self.num_heads, -1))
        mixed = selective_scan(
            x,
            divided(steps, sides),
            -self.log_rate.exp(),
            divided(into, sides).unflatten(-1, (NUM_ORDERS, -1)),
            divided(out_of, sides).unflatten(-1, (NUM_ORDERS, -1)),
            (-(-height // sides[0]), sides[0]),
        )
        mixed = joined((mixed + self.skip[:, None] * x).flatten(-2), sides, (height, width))
        gated: Tensor = self.leave(self.norm(mixed) * F.silu(gate))
        return gated


class Block(nn.Module):
    """Pre-norm residual block: mixer, then perceptron.

    Args:
        width: of a token.
        head_dim: see `WindowMixer`.
        num_states: see `WindowMixer`.
        window: see `WindowMixer`.
    """

    def __init__(self, width: int, *, head_dim: int, num_states: int, window: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = WindowMixer(width, head_dim=head_dim, num_states=num_states, window=window)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``n h w c`` to the same shape."""
        maps = maps + self.mixer(self.norm1(maps))
        return maps + self.fc2(F.gelu(self.fc1(self.norm2(maps))))


def divided(maps: Tensor, sides: tuple[int, int]) -> Tensor:
    """Divides maps into windows: ``n h w c`` to ``n windows k c``, filled up with zeros where a side does not divide.

    Args:
        maps: ``n h w c``.
        sides: height and width of a window.
    """
    height, width, channels = maps.shape[1:]
    rows, columns = -(-height // sides[0]), -(-width // sides[1])
    if (missing := (rows * sides[0] - height, columns * sides[1] - width)) != (0, 0):
        maps = F.pad(maps, (0, 0, 0, missing[1], 0, missing[0]))
    cells = maps.reshape(-1, rows, sides[0], columns, sides[1], channels).transpose(2, 3)
    return cells.reshape(-1, rows * columns, sides[0] * sides[1], channels)


def joined(windows: Tensor, sides: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Undoes `divided`.

    Args:
        windows: ``n windows k c``.
        sides: height and width of a window.
        size: height and width of the maps.
    """
    rows, columns = -(-size[0] // sides[0]), -(-size[1] // sides[1])
    cells = windows.reshape(-1, rows, columns, *sides, windows.shape[-1]).transpose(2, 3)
    return cells.reshape(-1, rows * sides[0], columns * sides[1], windows.shape[-1])[:, : size[0], : size[1]]
