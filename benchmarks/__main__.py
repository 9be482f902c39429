"""How close each stage comes to its physical limit, as ratios within one run.

    python -m benchmarks                 # every measure; under 15 minutes on two quiet cores
    python -m benchmarks reading verify  # some
    python -m benchmarks growth          # how time and memory grow with the number of rows
    python -m benchmarks --gpu           # those that need a CUDA device; benchmarks/gpu.py runs in a plain Python too

Writes ``benchmarks/results.json`` and ``benchmarks/RESULTS.md``; measures that are not run keep their figures there.
"""

import argparse
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from benchmarks import measures, results  # noqa: E402 - numpy reads the number of threads when it is imported
from benchmarks.harness import Figure, Setting  # noqa: E402
from pipeline.core.errors import nearest  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status is 1 when a goal is missed, 2 for wrong use."""
    given = _parser().parse_args(arguments)
    known = (*measures.ORDER, *measures.ON_REQUEST)
    if unknown := [name for name in given.names if name not in known]:
        hint = nearest(unknown[0], known)
        print(f"unknown measure {unknown[0]!r}; known: {', '.join(known)}{hint}", file=sys.stderr)
        return 2
    if given.gpu:
        if given != _parser().parse_args(["--gpu"]):
            print("--gpu stands alone; `python benchmarks/gpu.py --help` has its options", file=sys.stderr)
            return 2
        from benchmarks import gpu

        return gpu.main([])
    entries: dict[str, Any] = {}
    for name in given.names or measures.ORDER:
        entries[name] = run(name, small=given.small, rounds=given.rounds, scratch=given.scratch)
        if not given.small:
            there = results.merge(given.output / "results.json", entries)
            page = results.table(there, (*measures.ORDER, *measures.ON_REQUEST))
            (given.output / "RESULTS.md").write_text(page, encoding="utf-8")
    missed = [figure for entry in entries.values() for figure in entry["figures"] if figure["holds"] is False]
    return 1 if missed and not given.small else 0


def run(name: str, *, small: bool = False, rounds: int = 5, scratch: Path | None = None) -> dict[str, Any]:
    """Runs one measure in a folder of its own, and says what it gives as it comes.

    Args:
        name: a file of ``benchmarks/measures/``.
        small: only to see that it runs.
        rounds: how often both sides are timed.
        scratch: where its folder is made; None takes the system's place for temporary files.

    Returns:
        Its entry for ``results.json``.
    """
    measure = importlib.import_module(f"benchmarks.measures.{name}")
    others = results.others_busy()
    start = time.perf_counter()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=scratch) as folder:
        for figure in measure.figures(Setting(folder=Path(folder).resolve(), small=small, rounds=rounds)):
            figures.append(figure)
            goal = "" if figure.goal is None else f"  (goal {figure.goal})"
            spread = f"{min(figure.ratios):.3g} … {max(figure.ratios):.3g}"
            print(f"{name}: {figure.what} / {figure.against}: {figure.ratio:.3g}  [{spread}]{goal}", flush=True)
            print("    " + ", ".join(f"{key} {value:.4g}" for key, value in figure.detail.items()), flush=True)
    return results.describe(figures, seconds=time.perf_counter() - start, others=others)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join((*measures.ORDER, *measures.ON_REQUEST)))
    parser.add_argument("--gpu", action="store_true", help="the measures that need a CUDA device, and no others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="tiny sizes, nothing written: shows only that all runs")
    parser.add_argument("--output", type=Path, default=results.FOLDER, help="folder of results.json and RESULTS.md")
    parser.add_argument("--scratch", type=Path, help="folder for temporary files; needs 4 GB")
    return parser


if __name__ == "__main__":
    sys.exit(main())
