"""What every measure shares: two sides timed in turn within one run, the ratio of each turn, and its spread.

A time alone says something about a machine; a ratio of two times, taken in turn so that whatever else runs slows both,
says something about the code.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How much is measured.

    Attributes:
        folder: an empty folder that the measure may fill.
        small: sizes that show only that the measure runs.
        rounds: how often both sides are timed.
    """

    folder: Path
    small: bool = False
    rounds: int = 5

    def size(self, full: int, small: int) -> int:
        """One of two sizes."""
        return small if self.small else full

    def fewer(self, rounds: int) -> int:
        """At most so many rounds, for sides that take long."""
        return min(self.rounds, rounds)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a ratio is to be."""

    side: Literal["at least", "at most"]
    ratio: float

    def holds(self, ratio: float) -> bool:
        """Whether a ratio reaches it."""
        return ratio >= self.ratio if self.side == "at least" else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{'≥' if self.side == 'at least' else '≤'} {self.ratio:g}"


def at_least(ratio: float) -> Goal:
    """The larger, the better."""
    return Goal(side="at least", ratio=ratio)


def at_most(ratio: float) -> Goal:
    """The smaller, the better."""
    return Goal(side="at most", ratio=ratio)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        what: what is measured.
        against: what it is held against.
        ratios: one per round.
        goal: None where the figure is reported only.
        detail: numbers that explain it, with units in their names.
    """

    what: str
    against: str
    ratios: Sequence[float]
    goal: Goal | None = None
    detail: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "what": self.what,
            "against": self.against,
            "ratio": rounded(self.ratio),
            "low": rounded(min(self.ratios)),
            "high": rounded(max(self.ratios)),
            "rounds": len(self.ratios),
            "goal": None if self.goal is None else str(self.goal),
            "holds": None if self.goal is None else self.goal.holds(self.ratio),
            "detail": {name: rounded(value) for name, value in self.detail.items()},
        }


@dataclass(frozen=True)
class Turns:
    """Seconds of two sides, turn by turn.

    Attributes:
        ours: wall-clock seconds of the code.
        limit: of what it is held against.
        ours_cpu: processor seconds of the same, child processes included, which a busy machine disturbs less.
        limit_cpu: the same of the other side.
    """

    ours: list[float]
    limit: list[float]
    ours_cpu: list[float]
    limit_cpu: list[float]

    def time_ratios(self) -> list[float]:
        """Our time over the limit's."""
        return [ours / limit for ours, limit in zip(self.ours, self.limit, strict=True)]

    def rate_ratios(self) -> list[float]:
        """Our rate over the limit's, when both do the same work."""
        return [limit / ours for ours, limit in zip(self.ours, self.limit, strict=True)]

    def detail(self) -> dict[str, float]:
        """Median seconds of both sides, and the time ratio by processor seconds."""
        cpu = [ours / limit for ours, limit in zip(self.ours_cpu, self.limit_cpu, strict=True) if limit > 0]
        medians = {"ours_seconds": statistics.median(self.ours), "limit_seconds": statistics.median(self.limit)}
        return medians | ({"cpu_time_ratio": statistics.median(cpu)} if cpu else {})


def in_turn(ours: Callable[[], Any], limit: Callable[[], Any], rounds: int, *, warm: bool = True) -> Turns:
    """Times two sides in turn, each first in every other round.

    Args:
        ours: the code.
        limit: what it is held against.
        rounds: how often.
        warm: whether both run once before, not counted.
    """
    if warm:
        limit()
        ours()
    turns = Turns([], [], [], [])
    sides = [(ours, turns.ours, turns.ours_cpu), (limit, turns.limit, turns.limit_cpu)]
    for turn in range(rounds):
        for work, wall, cpu in sides if turn % 2 else sides[::-1]:
            seconds, cpu_seconds = timed(work)
            wall.append(seconds)
            cpu.append(cpu_seconds)
    return turns


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall-clock seconds, and processor seconds of this process and of those it starts."""
    children = children_seconds()
    start, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, own = time.perf_counter() - start, time.process_time() - cpu
    return seconds, own + children_seconds() - children


def children_seconds() -> float:
    """Processor seconds so far of this process's children, of those that still run as well as of those that ended."""
    ended = os.times()
    total = ended.children_user + ended.children_system
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            # A child's entry has four numbers: its own seconds, and those of its children that ended.
            total += sum(child.cpu_times()[:4])
    return total


@contextlib.contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """Makes a folder the present project: its pool, scratch and results are there, and nobody else's are touched.

    Args:
        folder: made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before, root = Path.cwd(), os.environ.get("DVC_ROOT")
    os.chdir(folder)
    os.environ["DVC_ROOT"] = str(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        os.environ.pop("DVC_ROOT")
        if root is not None:
            os.environ["DVC_ROOT"] = root


def rounded(value: float) -> float:
    """To four significant digits."""
    return float(f"{value:.4g}")
