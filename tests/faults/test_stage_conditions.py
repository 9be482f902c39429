"""Every stage on a full disk, in folders that may not be written, and while the clock jumps."""

import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import Undisturbed
from tests.faults.corpus import KINDS
from tests.faults.project import OUTPUTS, STAGES, Run
from tests.faults.test_stage_kills import FAULTS as KILLS
from tests.imports import ROOT

DISKS = (0.05, 0.95)
"""Where files end, as shares of the largest that a stage leaves."""
SMALLEST_BYTES = 2000
"""What a stage prints is a file too."""
FAULTS = len(STAGES) * (len(DISKS) + 2)
FULL, FORBIDDEN = "File too large", "Permission denied"


def largest_bytes(run: Run, stage: str) -> int:
    found = [path for name in OUTPUTS[stage] for path in [run.folder / name, *(run.folder / name).rglob("*")]]
    return max(path.stat().st_size for path in found if path.is_file())


def refused(run: Run, stage: str, condition: str, reason: str) -> None:
    """Runs a stage that must end soon, whole and with a reason that a person can act on."""
    log = run.folder / f"{stage}.log"
    log.write_bytes(b"")
    run.start(stage, condition)
    status, told = run.wait(), log.read_text(encoding="utf-8")
    assert status == 1, f"{stage}, {condition}: {status}: {told}"
    assert reason in told
    assert re.search(r"free space", told), told
    assert "Traceback" not in told, told


@contextmanager
def closed(top: Path) -> Iterator[None]:
    """Nothing can be made in, moved from or removed from any folder."""
    modes = {folder: folder.stat().st_mode for folder in (top, *top.rglob("*")) if folder.is_dir()}
    for folder in modes:
        folder.chmod(0o555)
    try:
        yield
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)


def shift_times(top: Path, generator: random.Random) -> None:
    """Gives every file a time of years ago or ahead."""
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        os.utime(path, (generator.uniform(0, 4e9),) * 2)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_stages_that_are_refused_lose_nothing(
    undisturbed: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, generator = undisturbed.run, random.Random(20)
    tried = lost = 0
    with Run(tmp_path / "project") as run:
        for stage in STAGES:
            if stage == "report":
                run.forget_times()
            final, finished = whole.digests(stage), run.pooled()
            for share in DISKS:
                largest = largest_bytes(whole, stage)
                limit = min(max(SMALLEST_BYTES, int(share * largest)), largest - 1)
                refused(run, stage, f"disk={limit}", FULL)
                assert run.digests(stage).items() <= final.items(), f"{stage}: torn on a full disk"
                tried += 1
            with closed(run.folder):
                refused(run, stage, "bound", FORBIDDEN)
            assert run.digests(stage).items() <= final.items(), f"{stage}: torn where it may not write"
            shift_times(run.folder, generator)
            run.start(stage, f"clock={generator.randrange(1000)}")
            assert run.wait() == 0, (run.folder / f"{stage}.log").read_text(encoding="utf-8")
            assert run.digests(stage) == final, stage
            tried += 2
            pooled = run.pooled()
            lost += sum(pooled.get(path) != what for path, what in finished.items())
    with capsys.disabled():
        print(f"\n{tried} faults tried, {lost} rows lost")
    assert (tried, lost) == (FAULTS, 0)


def test_the_readme_has_the_figures() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{KILLS + FAULTS} faults tried, 0 rows lost" in text
    assert f"Each of {len(KINDS)} kinds" in text
