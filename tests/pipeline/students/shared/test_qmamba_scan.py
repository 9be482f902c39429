"""The scan through windows against the recurrence as it is written."""

import numpy as np
import pytest
import torch

from pipeline.students.shared.qmamba import scan
from pipeline.students.shared.qmamba.blocks import divided, joined

CASES = {"one window": (1, 1, 3, 4), "windows": (2, 3, 3, 2), "one token each": (3, 2, 1, 1)}
"""Rows and columns of windows, rows and columns of tokens in one."""


def tensors(case, dtype=torch.float64):
    rows, columns, height, width = CASES[case]
    generator = torch.Generator().manual_seed(3)
    shape = (2, rows * columns, height * width)
    x = torch.randn(*shape, 8, 5, generator=generator, dtype=dtype)
    dt = torch.rand(*shape, 8, generator=generator, dtype=dtype)
    dt[:, :, -1] = 0.0
    rates = -torch.rand(8, generator=generator, dtype=dtype) * 3
    into, out_of = (torch.randn(*shape, 4, 6, generator=generator, dtype=dtype) for _ in range(2))
    return [x, dt, rates, into, out_of], (rows, height)


def by_the_definition(x, dt, rates, into, out_of, order):
    """Every head for itself, over tokens in a list of (window, token)."""
    y = torch.zeros_like(x)
    for clip in range(x.shape[0]):
        for head in range(x.shape[3]):
            group = head * 4 // x.shape[3]
            state = torch.zeros(into.shape[-1], x.shape[-1], dtype=x.dtype)
            for window, token in order[group]:
                at = (clip, window, token)
                state = state * torch.exp(dt[*at, head] * rates[head])
                state = state + dt[*at, head] * torch.outer(into[*at, group], x[*at, head])
                y[*at, head] = out_of[*at, group] @ state
    return y


def written_out(case):
    """The four orders, by loops."""
    rows, columns, height, width = CASES[case]
    by_rows = [
        (r * columns + c, i * width + j)
        for r in range(rows)
        for c in range(columns)
        for i in range(height)
        for j in range(width)
    ]
    by_columns = [
        (r * columns + c, i * width + j)
        for c in range(columns)
        for r in range(rows)
        for j in range(width)
        for i in range(height)
    ]
    return [by_rows, by_rows[::-1], by_columns, by_columns[::-1]]


@pytest.mark.parametrize("case", CASES)
def test_equals_the_recurrence_in_float64(case):
    values, grid = tensors(case)
    expected = by_the_definition(*values, written_out(case))
    torch.testing.assert_close(scan.window_scan(*values, grid), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(scan.scan_in_order(*values, grid, scan.recurrence), expected, rtol=1e-10, atol=1e-10)


def test_gradients_equal_the_recurrences():
    values, grid = tensors("windows")
    gradients = []
    for function in (scan.window_scan, lambda *a: scan.scan_in_order(*a, scan.recurrence)):
        leaves = [value.clone().requires_grad_() for value in values]
        function(*leaves, grid).square().sum().backward()
        gradients.append([leaf.grad for leaf in leaves])
    for mine, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-9, atol=1e-9)


def test_strong_decay_and_long_scans_stay_finite_in_float32():
    values, grid = tensors("windows", torch.float32)
    values[1] = values[1] * 1000
    leaves = [value.requires_grad_() for value in values]
    scan.window_scan(*leaves, grid).sum().backward()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)


def test_what_the_kernel_gets_is_in_order_and_what_it_gives_is_put_back(monkeypatch):
    values, grid = tensors("windows")
    seen = {}

    def kernel(x, dt, rates, into, out_of, chunk_size):
        seen.update(x=tuple(x.shape), dt=tuple(dt.shape), into=tuple(into.shape), chunk_size=chunk_size)
        return scan.recurrence(x, dt, rates, into, out_of)

    torch.testing.assert_close(scan.scan_in_order(*values, grid, kernel), scan.window_scan(*values, grid))
    assert seen == {"x": (2, 36, 8, 5), "dt": (2, 36, 8), "into": (2, 36, 4, 6), "chunk_size": 64}


def test_heads_and_windows_that_do_not_divide_are_refused():
    values, _ = tensors("windows")
    with pytest.raises(scan.ScanError, match="6 windows of 6 tokens and the grid"):
        scan.selective_scan(*values, (4, 3))
    values[0] = values[0][:, :, :, :6]
    with pytest.raises(scan.ScanError, match="got 6 heads"):
        scan.selective_scan(*values, (2, 3))


@pytest.mark.gpu
def test_the_cuda_kernel_agrees():
    kernel = scan.cuda_kernel()
    assert kernel is not None, "install mamba_ssm to run this test"
    values, grid = tensors("windows", torch.float32)
    on_device = [value.cuda() for value in values]
    found = scan.scan_in_order(*on_device, grid, kernel).cpu()
    torch.testing.assert_close(found, scan.window_scan(*values, grid), rtol=2e-3, atol=2e-3)


def test_windows_that_do_not_divide_are_filled_up_without_a_trace():
    height, width, side = 5, 7, 3
    generator = torch.Generator().manual_seed(4)
    x, into, out_of = (torch.randn(1, height, width, n, generator=generator, dtype=torch.float64) for n in (8, 8, 8))
    dt = torch.rand(1, height, width, 4, generator=generator, dtype=torch.float64)
    rates = -torch.ones(4, dtype=torch.float64)
    sides = (side, side)
    filled = scan.window_scan(
        divided(x, sides).unflatten(-1, (4, 2)),
        divided(dt, sides),
        rates,
        divided(into, sides).unflatten(-1, (4, 2)),
        divided(out_of, sides).unflatten(-1, (4, 2)),
        (2, side),
    )
    found = joined(filled.flatten(-2), sides, (height, width))
    by_rows = sorted(np.ndindex(height, width), key=lambda at: (at[0] // side, at[1] // side, at[0], at[1]))
    by_columns = sorted(np.ndindex(height, width), key=lambda at: (at[1] // side, at[0] // side, at[1], at[0]))
    order = [[(0, row * width + column) for row, column in part] for part in (by_rows, by_columns)]
    expected = by_the_definition(
        x.reshape(1, 1, -1, 4, 2),
        dt.reshape(1, 1, -1, 4),
        rates,
        into.reshape(1, 1, -1, 4, 2),
        out_of.reshape(1, 1, -1, 4, 2),
        [order[0], order[0][::-1], order[1], order[1][::-1]],
    )
    torch.testing.assert_close(found.reshape(expected.shape), expected, rtol=1e-10, atol=1e-10)


def test_dividing_and_joining_undo_each_other():
    maps = torch.arange(2 * 5 * 7 * 3).reshape(2, 5, 7, 3).float()
    for sides in ((5, 7), (2, 3), (4, 4)):
        assert torch.equal(joined(divided(maps, sides), sides, (5, 7)), maps)
