"""``benchmarks/results.json`` and the table made from it, ``benchmarks/RESULTS.md``."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.harness import Figure, rounded
from benchmarks.measures import ON_REQUEST

FOLDER = Path(__file__).parent
_BUSY = 0.5
"""Processors that others use from which a run's figures are marked."""


def describe(figures: Sequence[Figure], *, seconds: float, others: float) -> dict[str, Any]:
    """One measure's entry in ``results.json``.

    Args:
        figures: what it gave.
        seconds: that it took.
        others: processors that other programs used just before it.
    """
    return {
        "seconds": rounded(seconds),
        "processors_busy_with_other_work": rounded(others),
        "machine": machine(),
        "figures": [figure.as_dict() for figure in figures],
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    import torch
    import zarr

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "zarr": zarr.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def others_busy(seconds: float = 0.5) -> float:
    """Processors that are busy while this process waits."""
    return psutil.cpu_percent(seconds) / 100 * (psutil.cpu_count() or 1)


def merge(path: Path, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Puts measures into ``results.json``; those that were not run stay as they are.

    Returns:
        Every measure that is there now, by name.
    """
    there: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    there = dict(sorted((there | dict(entries)).items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(there, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return there


def table(results: Mapping[str, Any], order: Sequence[str]) -> str:
    """The Markdown page.

    Args:
        results: as in ``results.json``.
        order: names of the measures as they are to stand; others follow.
    """
    names = [name for name in order if name in results] + [name for name in results if name not in order]
    lines = [
        "# Figures",
        "",
        "Written by `python -m benchmarks` (`make bench`); do not edit. Each figure is the median over rounds of a",
        "ratio within one run, with its lowest and highest value; seconds and rates are medians too. What was tried:",
        "`docs/decisions.md`.",
        "",
        "| measure | what | held against | ratio | low … high | goal | | in numbers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        for figure in results[name]["figures"]:
            mark = {True: "✓", False: "**missed**", None: ""}[figure["holds"]]
            detail = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in figure["detail"].items())
            lines.append(
                f"| {name} | {figure['what']} | {figure['against']} | {figure['ratio']:.3g} | "
                f"{figure['low']:.3g} … {figure['high']:.3g} | {figure['goal'] or 'reported'} | {mark} | {detail} |"
            )
    lines += ["", *_machines(results, names), ""]
    return "\n".join(lines)


def _machines(results: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    by_machine: dict[str, list[str]] = {}
    for name in names:
        machine = ", ".join(f"{key} {value}" for key, value in results[name]["machine"].items())
        by_machine.setdefault(machine, []).append(name)
    lines = [f"- {', '.join(measures)}: {machine}." for machine, measures in by_machine.items()]
    busy = {name: results[name]["processors_busy_with_other_work"] for name in names}
    if loaded := [f"{name} ({count:.1f})" for name, count in busy.items() if count > _BUSY]:
        lines.append(
            "- **Taken while other programs used the processors** (how many, just before each): "
            + ", ".join(loaded)
            + "."
        )
    minutes = {name: results[name]["seconds"] / 60 for name in names}
    usual = sum(value for name, value in minutes.items() if name not in ON_REQUEST)
    lines.append(f"- All together {usual:.1f} minutes.")
    if asked := [f"{name} {value:.1f}" for name, value in minutes.items() if name in ON_REQUEST]:
        lines.append(f"- Minutes of what runs on request only: {', '.join(asked)}.")
    return lines
