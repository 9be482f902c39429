"""Every stage ended at random moments by three signals: the next run ends in the bytes of an undisturbed one."""

import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.corpus import KINDS
from tests.faults.project import STAGES, Run
from tests.imports import ROOT

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
FAULTS = len(STAGES) * len(SIGNALS)
SECRET = "sk-4f2a9c81d7e6b3"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, dict[str, float]]]:
    """A whole run, and the seconds that each stage took."""
    secrets = {"AWS_SECRET_ACCESS_KEY": SECRET, "HF_TOKEN": SECRET, "DVC_TOKEN": SECRET}
    with Run(tmp_path_factory.mktemp("undisturbed") / "project", secrets) as run:
        yield run, _all_stages(run)


def _all_stages(run: Run) -> dict[str, float]:
    (run.folder / ".dvc/config").write_text(f"['remote \"r\"']\n    url = https://me:{SECRET}@example.org/store\n")
    seconds = {}
    for stage in STAGES:
        if stage == "report":
            run.forget_times()
        seconds[stage] = run.finish(stage)
    return seconds


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_stages_that_were_ended_lose_nothing(
    undisturbed: tuple[Run, dict[str, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, seconds = undisturbed
    generator = random.Random(10)
    tried = lost = 0
    with Run(tmp_path / "project") as run:
        for stage in STAGES:
            if stage == "report":
                run.forget_times()
            finished: dict[Path, tuple[int, str]] = {}
            longest = seconds[stage]
            for how in SIGNALS:
                while (took := run.end(stage, generator.uniform(0.1, 0.95) * longest, how)) is not None:
                    # What was finished before is not done again, so the stage has become shorter.
                    longest = min(longest, took) * 0.7
                tried += 1
                pooled = run.pooled()
                lost += sum(pooled.get(path) != what for path, what in finished.items())
                finished = pooled
            run.finish(stage)
            lost += sum(run.pooled().get(path) != what for path, what in finished.items())
            assert run.digests(stage) == whole.digests(stage), stage
    left = [path for path in run.folder.rglob("*") if re.search(r"\.building-|\.partial$|\.tmp-", path.name)]
    assert not [path for path in left if "made" not in path.parts], left
    with capsys.disabled():
        print(f"\n{tried} faults tried, {lost} rows lost")
    assert (tried, lost) == (FAULTS, 0)


def test_the_readme_has_the_figures() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{FAULTS} faults tried, 0 rows lost" in text
    assert f"Each of {len(KINDS)} kinds" in text


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_no_secret_is_written_anywhere(undisturbed: tuple[Run, dict[str, float]]) -> None:
    run, _ = undisturbed
    told = {path for path in run.folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()}
    assert told == {run.folder / ".dvc/config"}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_runs_of_a_stage_at_once_end_in_the_same_bytes(
    undisturbed: tuple[Run, dict[str, float]], tmp_path: Path
) -> None:
    whole, _ = undisturbed
    with Run(tmp_path / "project") as one, Run(tmp_path / "project") as other:
        for stage in ("prepare", "render", "extract"):
            if stage == "extract":
                shutil.copytree(whole.folder / "models/teacher", one.folder / "models/teacher")
            for run in (one, other):
                run.start(stage)
            assert [one.wait(), other.wait()] == [0, 0], (one.folder / f"{stage}.log").read_text(encoding="utf-8")
            assert one.digests(stage) == whole.digests(stage), stage
