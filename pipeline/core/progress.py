"""Progress on standard error, with an estimate of the time left; a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LINE_EVERY_SECONDS = 5.0


class Advance(Protocol):
    """Reports that ``steps`` more are done, with a short note such as the latest loss."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Reports ``steps`` more."""


@contextmanager
def track(description: str, total: int) -> Iterator[Advance]:
    """Shows the progress of ``total`` steps.

    Args:
        description: what is being done, such as ``render``.
        total: how many steps there are.

    Yields:
        A function to call after each step.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        ) as bars:
            bar = bars.add_task(description, total=total, note="")

            def advance_bar(steps: int = 1, note: str = "") -> None:
                bars.update(bar, advance=steps, note=note)

            yield advance_bar
        return
    yield _Lines(description, total)


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self, description: str, total: int) -> None:
        self._description = description
        self._total = total
        self._done = 0
        self._start = self._last = time.monotonic()

    def __call__(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last < _LINE_EVERY_SECONDS and self._done < self._total:
            return
        self._last = now
        left = (now - self._start) / max(self._done, 1) * (self._total - self._done)
        text = f"{self._description}: {self._done}/{self._total}, {now - self._start:.0f} s so far, {left:.0f} s left"
        print(f"{text}  {note}".rstrip(), file=sys.stderr, flush=True)
