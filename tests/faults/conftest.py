"""The corpus of bad videos, written once, and a whole run to compare with."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.corpus import write_corpus
from tests.faults.project import STAGES, Run
from tests.videos import write_video


@dataclass(frozen=True)
class Corpus:
    """The files, below ``root/data``."""

    root: Path
    paths: dict[str, Path]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    root = tmp_path_factory.mktemp("corpus")
    write_video(root / "outside.mp4")
    return Corpus(root, write_corpus(root / "data/raw/folder"))


@dataclass(frozen=True)
class Undisturbed:
    """A whole run in which nothing went wrong.

    Attributes:
        run: its project.
        seconds: that each stage took.
    """

    run: Run
    seconds: dict[str, float]


SECRET = "sk-4f2a9c81d7e6b3"
"""In the environment and in DVC's settings of the undisturbed run."""


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    secrets = {"AWS_SECRET_ACCESS_KEY": SECRET, "HF_TOKEN": SECRET, "DVC_TOKEN": SECRET}
    with Run(tmp_path_factory.mktemp("undisturbed") / "project", secrets) as run:
        settings = f"['remote \"r\"']\n    url = https://me:{SECRET}@example.org/store\n"
        (run.folder / ".dvc/config").write_text(settings)
        seconds = {}
        for stage in STAGES:
            if stage == "report":
                run.forget_times()
            seconds[stage] = run.finish(stage)
        yield Undisturbed(run, seconds)
