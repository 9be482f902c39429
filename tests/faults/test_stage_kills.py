"""Every stage ended at random moments by three signals: the next run ends in the bytes of an undisturbed one."""

import random
import re
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import SECRET, Undisturbed
from tests.faults.project import STAGES, Run

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TRIES = 40
"""Of ending a stage before it is done by itself."""
FAULTS = len(STAGES) * len(SIGNALS)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def test_stages_that_were_ended_lose_nothing(
    undisturbed: Undisturbed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = undisturbed.run
    generator = random.Random(10)
    tried = lost = 0
    with Run(tmp_path / "project") as run:
        for stage in STAGES:
            if stage == "report":
                run.forget_times()
            finished: dict[Path, tuple[int, str]] = {}
            longest, final = undisturbed.seconds[stage], whole.digests(stage)
            for how in SIGNALS:
                for _ in range(TRIES):
                    took = run.end(stage, generator.uniform(0.1, 0.95) * longest, how)
                    if took is None:
                        break
                    # What was finished before is not done again, so the stage has become shorter.
                    longest = min(longest, took) * 0.7
                assert took is None, f"{stage} is never ended by {how.name}"
                tried += 1
                assert whole_files(run, stage).items() <= final.items(), f"{stage}: torn by {how.name}"
                pooled = run.pooled()
                lost += sum(pooled.get(path) != what for path, what in finished.items())
                finished = pooled
            run.finish(stage)
            lost += sum(run.pooled().get(path) != what for path, what in finished.items())
            assert run.digests(stage) == final, stage
    left = [path for path in run.folder.rglob("*") if re.search(r"\.building-", path.name)]
    assert not [path for path in left if "made" not in path.parts], left
    with capsys.disabled():
        print(f"\n{tried} faults tried, {lost} rows lost")
    assert (tried, lost) == (FAULTS, 0)


def whole_files(run: Run, stage: str) -> dict[str, str]:
    """What someone may read: all but hidden files, which are not yet in their places."""
    found = run.digests(stage).items()
    return {name: digest for name, digest in found if not re.search(r"(^|/)\.", name)}


def test_no_secret_is_written_anywhere(undisturbed: Undisturbed) -> None:
    folder = undisturbed.run.folder
    told = {path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()}
    assert told == {folder / ".dvc/config"}


def test_two_runs_of_a_stage_at_once_end_in_the_same_bytes(undisturbed: Undisturbed, tmp_path: Path) -> None:
    whole = undisturbed.run
    with Run(tmp_path / "project") as one, Run(tmp_path / "project") as other:
        for stage in STAGES:
            if stage == "report":
                one.forget_times()
            for run in (one, other):
                run.start(stage)
            assert [one.wait(), other.wait()] == [0, 0], (one.folder / f"{stage}.log").read_text(encoding="utf-8")
            assert one.digests(stage) == whole.digests(stage), stage
