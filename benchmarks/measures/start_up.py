"""Start-up of the console script: nothing heavier than what the verb needs is imported."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import Figure, Setting, at_most, in_turn
from benchmarks.material import write_random_store

LIMIT = "a bare import of the one library that the verb cannot do without"
_SCRIPT = "import sys; from pipeline.commands.cli import main; sys.argv[0] = 'teachonce'; main()"


def figures(setting: Setting) -> Iterator[Figure]:
    """Times ``teachonce --help`` and ``teachonce cache info`` as processes."""
    store = write_random_store(setting.folder / "store.zarr", num_videos=setting.size(1000, 4))
    for verb, library in ((["--help"], "typer"), (["cache", "info", str(store)], "zarr")):
        turns = in_turn(
            partial(_run, [*teachonce(), *verb]),
            partial(_run, [sys.executable, "-c", f"import {library}"]),
            setting.rounds,
        )
        yield Figure(
            what=f"teachonce {' '.join(verb[:2])}",
            against=f"python -c 'import {library}'",
            ratios=turns.time_ratios(),
            goal=at_most(1.5),
            detail={"ours_seconds": sorted(turns.ours)[0], "limit_seconds": sorted(turns.limit)[0]},
        )


def teachonce() -> list[str]:
    """The command line of the console script, or of the same in a Python that has not installed it."""
    script = Path(sys.executable).with_name("teachonce")
    return [str(script)] if script.exists() else [sys.executable, "-c", _SCRIPT]


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
