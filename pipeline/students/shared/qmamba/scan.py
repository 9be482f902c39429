"""A selective state-space scan through local windows, along rows and columns, forwards and backwards.

The recurrence of every head is ``S_t = exp(dt_t·A)·S_{t−1} + dt_t·B_t·x_tᵀ`` and ``y_t = C_tᵀ·S_t``, with a scalar
``A < 0`` (the structured state-space duality of Mamba-2). The heads are divided among four orders of the same tokens:
row by row within a window and window by window along rows; the same by columns; and both backwards. The state goes on
from window to window, so that a frame is seen as a whole.

`window_scan` never puts tokens in another order. Within a window the recurrence is a product with a masked matrix, and
an order is no more than which entries of the mask are 1; from window to window it is another such product. So all four
orders are a handful of batched matrix products over the same memory. On a CPU, forward and backward, that was the
fastest of the ways measured (figures in ``docs/results.md``); on CUDA the kernel
of the package mamba_ssm takes over where it is installed.

Ref: Dao, Gu, "Transformers are SSMs" (Mamba-2, arXiv 2405.21060), section 6; Huang et al., "LocalMamba" (arXiv
2403.09338) and Q-Mamba (arXiv 2406.09546) for scans within windows. Heads divided among the orders, where the papers
let every channel run in every order, is ours: a quarter of the work.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module

import torch
from torch import Tensor

from pipeline.core.errors import PipelineError

NUM_ORDERS = 4
_KERNEL_CHUNK = 64

SequenceScan = Callable[..., Tensor]
"""``(x, dt, A, B, C, chunk_size) → y`` on sequences in order: ``n l heads p``, ``n l heads``, ``heads``, ``n l orders
states`` twice; the interface of mamba_ssm's ``mamba_chunk_scan_combined``."""


class ScanError(PipelineError, ValueError):
    """Tensors that do not belong together in a scan."""


def selective_scan(x: Tensor, dt: Tensor, rates: Tensor, into: Tensor, out_of: Tensor, grid: tuple[int, int]) -> Tensor:
    """Scans windows of tokens by the fastest way there is on the tensors' device.

    Args:
        x: ``n windows k heads p``; windows row by row, and the tokens of a window row by row.
        dt: step sizes, not negative, ``n windows k heads``; a token with 0 changes nothing.
        rates: ``A``, negative, ``heads``; the first quarter of the heads has the first order.
        into: ``B``, ``n windows k 4 states``.
        out_of: ``C``, same shape.
        grid: rows of windows, and rows of tokens in a window.

    Returns:
        ``y``, the shape of ``x``.

    Raises:
        ScanError: the heads cannot be divided among the orders, or the grid does not divide windows and tokens.
    """
    num_windows, num_tokens, heads = x.shape[1:4]
    if heads % NUM_ORDERS or num_windows % grid[0] or num_tokens % grid[1]:
        raise ScanError(
            f"got {heads} heads, {num_windows} windows of {num_tokens} tokens and the grid {grid}; expected a multiple "
            f"of {NUM_ORDERS} heads, and rows that divide the windows and the tokens"
        )
    kernel = cuda_kernel() if x.is_cuda else None
    if kernel is not None:
        return scan_in_order(x, dt, rates, into, out_of, grid, kernel)
    return window_scan(x, dt, rates, into, out_of, grid)


def window_scan(x: Tensor, dt: Tensor, rates: Tensor, into: Tensor, out_of: Tensor, grid: tuple[int, int]) -> Tensor:
    """`selective_scan` in plain torch, as products with masked matrices."""
    split = (NUM_ORDERS, -1)
    log_decay = (dt * rates).unflatten(-1, split).permute(0, 1, 3, 4, 2)  # n w o r k
    inputs = (x * dt[..., None]).unflatten(3, split).permute(0, 1, 3, 4, 2, 5)  # n w o r k p
    into, out_of = into.permute(0, 1, 3, 2, 4), out_of.permute(0, 1, 3, 2, 4)  # n w o k s
    window_ranks = ranks(grid[0], x.shape[1] // grid[0], x.device)
    token_ranks = ranks(grid[1], x.shape[2] // grid[1], x.device)

    reached = token_ranks[:, :, None] >= token_ranks[:, None, :]  # o i j: token i comes at j or after it
    so_far = log_decay @ reached.to(x.dtype).transpose(1, 2)
    between = (so_far[..., :, None] - so_far[..., None, :]).masked_fill(~reached[:, None], -torch.inf)
    within = (out_of @ into.transpose(-1, -2))[:, :, :, None] * between.exp()
    output = within @ inputs  # n w o r k p
    if x.shape[1] > 1:
        whole = log_decay.sum(-1)  # n w o r
        decay = (whole[..., None] - so_far).exp()
        states = into[:, :, :, None].transpose(-1, -2) @ (inputs * decay[..., None])  # n w o r s p
        arriving = _carried(states, whole, window_ranks)
        output = output + (out_of[:, :, :, None] @ arriving) * so_far.exp()[..., None]
    return output.permute(0, 1, 4, 2, 3, 5).flatten(3, 4)


def _carried(states: Tensor, log_decay: Tensor, window_ranks: Tensor) -> Tensor:
    """What each window receives from those before it.

    Args:
        states: what each window adds, ``n w o r s p``.
        log_decay: of each whole window, ``n w o r``.
        window_ranks: ``o w``.
    """
    earlier = window_ranks[:, :, None] > window_ranks[:, None, :]  # o w v: window w comes after v
    log_decay = log_decay.permute(0, 2, 3, 1)  # n o r w
    before = log_decay @ earlier.to(states.dtype).transpose(1, 2)
    between = before[..., :, None] - (before + log_decay)[..., None, :]
    weights = between.masked_fill(~earlier[:, None], -torch.inf).exp()  # n o r w v
    arriving = weights @ states.permute(0, 2, 3, 1, 4, 5).flatten(-2)
    return arriving.unflatten(-1, states.shape[-2:]).permute(0, 3, 1, 2, 4, 5)


def scan_in_order(
    x: Tensor, dt: Tensor, rates: Tensor, into: Tensor, out_of: Tensor, grid: tuple[int, int], scan: SequenceScan
) -> Tensor:
    """`selective_scan` by a scan of sequences: the tokens are put in each order, scanned, and put back."""
    num_windows, num_tokens = x.shape[1:3]
    token_ranks = ranks(grid[1], num_tokens // grid[1], x.device)
    window_ranks = ranks(grid[0], num_windows // grid[0], x.device)
    place = (window_ranks[:, :, None] * num_tokens + token_ranks[:, None, :]).flatten(1)  # o l
    token_at = place.argsort(dim=1)

    def ordered(values: Tensor, index: Tensor) -> Tensor:
        by_order = values.flatten(1, 2).unflatten(2, (NUM_ORDERS, -1))
        return torch.stack([by_order[:, index[order], order] for order in range(NUM_ORDERS)], dim=2).flatten(2, 3)

    y = scan(
        ordered(x, token_at),
        ordered(dt, token_at),
        rates,
        ordered(into, token_at),
        ordered(out_of, token_at),
        chunk_size=_KERNEL_CHUNK,
    )
    back = ordered(y.unflatten(1, (num_windows, num_tokens)), place)
    return back.unflatten(1, (num_windows, num_tokens)).to(x.dtype)


def recurrence(x: Tensor, dt: Tensor, rates: Tensor, into: Tensor, out_of: Tensor, chunk_size: int = 0) -> Tensor:
    """The recurrence as it is written, one token after the other: what the others must agree with, and far slower.

    Args: see `SequenceScan`; ``chunk_size`` changes nothing here.
    """
    del chunk_size
    per_order = x.shape[2] // into.shape[2]
    into, out_of = into.repeat_interleave(per_order, dim=2), out_of.repeat_interleave(per_order, dim=2)
    state = x.new_zeros(x.shape[0], x.shape[2], into.shape[-1], x.shape[-1])
    outputs = []
    for t in range(x.shape[1]):
        decay = (dt[:, t] * rates).exp()[..., None, None]
        state = decay * state + into[:, t, :, :, None] * (dt[:, t, :, None] * x[:, t])[:, :, None]
        outputs.append((out_of[:, t, :, None] @ state)[:, :, 0])
    return torch.stack(outputs, dim=1)


def ranks(rows: int, columns: int, device: torch.device) -> Tensor:
    """When each cell of a grid comes in each order.

    Returns:
        int64, shape ``(4, rows · columns)``: by rows, by rows backwards, by columns, by columns backwards; the cells
        themselves are counted row by row.
    """
    row = torch.arange(rows, device=device)[:, None]
    column = torch.arange(columns, device=device)[None, :]
    by_rows, by_columns = (row * columns + column).flatten(), (column * rows + row).flatten()
    last = rows * columns - 1
    return torch.stack([by_rows, last - by_rows, by_columns, last - by_columns])


@cache
def cuda_kernel() -> SequenceScan | None:
    """The scan of the package mamba_ssm, or None where it is not installed."""
    try:
        kernel: SequenceScan = import_module("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined
    except ModuleNotFoundError:
        return None
    return kernel
