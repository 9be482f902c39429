"""Which way to scan a frame's windows is fastest on a CPU: masked matrix products, transformers' Mamba-2, a plain loop.

    python -m benchmarks.scan
    python -m benchmarks.scan --rounds 3 --sides small

All ways give the same numbers (checked first), forward and backward, on one thread. Time is this process's CPU time, so
that a busy machine changes it little. `window_scan` leaves the tokens where they are; the others put them in each of
the four orders, which is part of their cost. The last two rows compare whole mixers, projections included: ours, which
scans in four orders, and transformers' ``Mamba2Mixer`` of the same width, which scans in one.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from transformers.models.mamba2.configuration_mamba2 import Mamba2Config
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer, mamba2_chunk_scan

from pipeline.errors import PipelineError
from pipeline.models.qmamba.blocks import WindowMixer
from pipeline.models.qmamba.scan import NUM_ORDERS, SequenceScan, recurrence, scan_in_order, window_scan


@dataclass(frozen=True, kw_only=True)
class Case:
    """A stage's tokens: frames, side of the token grid, width, channels of a head, states, side of a window."""

    frames: int
    side: int
    width: int
    head_dim: int
    num_states: int
    window: int = 7


CASES = {
    "small, stage 1": Case(frames=32, side=14, width=64, head_dim=16, num_states=8),
    "small, stage 2": Case(frames=32, side=7, width=128, head_dim=16, num_states=8),
    "T, stage 1": Case(frames=1, side=56, width=96, head_dim=24, num_states=16),
    "T, stage 3": Case(frames=4, side=14, width=384, head_dim=24, num_states=16),
}
TINY = {"tiny": Case(frames=1, side=4, width=16, head_dim=4, num_states=2, window=2)}
TOLERANCE = 1e-3


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", choices=("all", "small", "tiny"), default="all")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    chosen = TINY if options.sides == "tiny" else {k: v for k, v in CASES.items() if options.sides in ("all", k[:5])}
    columns = [measure(case, options.rounds) for case in chosen.values()]
    print(f"| ms of CPU, forward / forward and backward | {' | '.join(chosen)} |")
    print(f"|---|{'---|' * len(chosen)}")
    for way in columns[0]:
        print(f"| {way} | {' | '.join(f'{a:.1f} / {b:.1f}' for a, b in (column[way] for column in columns))} |")


def measure(case: Case, rounds: int) -> dict[str, tuple[float, float]]:
    """Way → milliseconds of a forward pass, and of a forward and a backward pass, medians.

    Args:
        case: the tokens.
        rounds: how often each is timed, in turn.

    Raises:
        PipelineError: a way gives other numbers.
    """
    torch.manual_seed(0)
    rows, tokens = case.side // case.window, case.window**2
    shape, heads = (case.frames, rows * rows, tokens), case.width // case.head_dim
    values = [
        torch.randn(*shape, heads, case.head_dim),
        torch.rand(*shape, heads) * 0.3,
        -torch.rand(heads) * 8,
        *(torch.randn(*shape, NUM_ORDERS, case.num_states) for _ in range(2)),
    ]
    grid = (rows, case.window)
    chunks = {"one window": tokens, "256": 256}
    ways: dict[str, SequenceScan] = {"masked matrix products (window_scan)": window_scan}
    for name, chunk in chunks.items():
        chunked = partial(_transformers_scan, chunk=chunk)
        ways[f"transformers' mamba2_chunk_scan, chunks of {name}"] = partial(scan_in_order, scan=chunked)
    ways["plain recurrence"] = partial(scan_in_order, scan=recurrence)
    expected = ways["plain recurrence"](*values, grid)
    for name, way in ways.items():
        if (difference := float((way(*values, grid) - expected).abs().max() / expected.abs().max())) > TOLERANCE:
            raise PipelineError(f"{name} differs from the plain recurrence by {difference:.1e} of the largest value")
    runs = {name: partial(_run, partial(way, grid=grid), values) for name, way in ways.items()}
    maps = torch.randn(case.frames, case.side, case.side, case.width)
    mixer = WindowMixer(case.width, head_dim=case.head_dim, num_states=case.num_states, window=case.window)
    runs["whole mixer, ours, four orders"] = partial(_run, mixer, [maps])
    runs["whole mixer, transformers' Mamba2Mixer, one order"] = partial(_run, _theirs(case), [maps.flatten(1, 2)])
    return _times(runs, rounds)


def _transformers_scan(*values: Tensor, chunk: int, chunk_size: int) -> Tensor:
    del chunk_size
    result: Tensor = mamba2_chunk_scan(*values, chunk_size=chunk)
    return result


def _theirs(case: Case) -> nn.Module:
    config = Mamba2Config(
        hidden_size=case.width,
        expand=1,
        head_dim=case.head_dim,
        num_heads=case.width // case.head_dim,
        state_size=case.num_states,
        n_groups=1,
        chunk_size=case.window**2,
    )
    mixer: nn.Module = Mamba2Mixer(config, layer_idx=0)
    return mixer


def _run(function: Callable[..., Tensor], values: Sequence[Tensor], backward: bool) -> None:
    if not backward:
        with torch.no_grad():
            function(*values)
        return
    function(*(value.clone().requires_grad_() for value in values)).sum().backward()


def _times(runs: Mapping[str, Callable[[bool], None]], rounds: int) -> dict[str, tuple[float, float]]:
    seconds: dict[tuple[str, bool], list[float]] = {(name, back): [] for name in runs for back in (False, True)}
    for _ in range(rounds):
        for (name, backward), found in seconds.items():
            start = time.process_time()
            runs[name](backward)
            found.append(time.process_time() - start)
    return {
        name: (1e3 * statistics.median(seconds[name, False]), 1e3 * statistics.median(seconds[name, True]))
        for name in runs
    }


if __name__ == "__main__":
    main()
