"""The corpus of bad videos, written once."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.corpus import write_corpus
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
