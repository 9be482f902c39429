"""VSFA's and MDTVSFA's ``*info.mat``: names, scores, contents and a thousand random splits of a data set.

Version 7.3 (VSFA) is read through h5py, version 5 through scipy. With ``repetition`` the publisher's split of that
number is kept: 60 % of the contents train, 20 % validate, 20 % test.

Ref: Li, Jiang, Jiang, "Quality assessment of in-the-wild videos" (VSFA, 2019), its ``VQADataset`` for the rounding.
"""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.datasets import Entry, Progress
from pipeline.datasets._brought import Brought, ScoredSettings, tell
from pipeline.datasets._tables import read_mat
from pipeline.manifest import ScoreScale, Split

NAME = "vsfa_info"
DOWNLOAD = tell(
    NAME,
    "Get the videos from their publisher and an info file (KoNViD-1kinfo.mat, CVD2014info.mat, …) from "
    "github.com/lidq92/VSFA. Expected: the info file that prepare.options.vsfa_info.labels names, and the videos.",
)


class Settings(ScoredSettings):
    """Which info file, where its videos lie, and the scale of its scores; the paths' fields are ``name``, ``stem``."""

    folder: str = "raw/vsfa_info"
    paths: list[str] = Field(["{name}", "{name}.mp4"], min_length=1)
    labels: str
    repetition: Annotated[int, Field(ge=0)] | None = None
    """Row of the info file's ``index``, from 0; null leaves the split to ``prepare``."""


def scales(settings: Settings) -> dict[str, ScoreScale]:
    """The scale of the scores, by data set."""
    return {NAME: settings.scale}


def collect(settings: Settings, data_root: Path, workers: int, progress: Progress | None = None) -> list[Entry]:
    """Finds every video of the info file.

    Raises:
        DatasetError: with every problem.
    """
    del workers, progress
    found = Brought(NAME, settings.scale, settings, data_root, DOWNLOAD)
    path = found.table(settings.labels)
    index = ["index"] if settings.repetition is not None else []
    values = read_mat(path, ["video_names", "scores", "ref_ids", *index])
    names, scores, references = values["video_names"], values["scores"].ravel(), values["ref_ids"].ravel()
    if not len(names) == len(scores) == len(references):
        found.problem(f"{path}: {len(names)} names, {len(scores)} scores and {len(references)} ref_ids")
    splits = _splits(values["index"], settings.repetition, found) if settings.repetition is not None else {}
    for number, (name, score, reference) in enumerate(zip(names, scores, references, strict=False), start=1):
        found.add(
            f"{path.name}, entry {number}",
            {"name": name, "stem": Path(name).stem},
            score=float(score),
            content=f"{int(reference)}",
            split=splits.get(int(reference)),
        )
    return found.entries()


def _splits(index: np.ndarray, repetition: int, found: Brought) -> dict[int, Split]:
    """Content → split of one repetition."""
    if repetition >= len(index):
        found.problem(f"prepare.options.{NAME}.repetition: got {repetition}; the file has 0 to {len(index) - 1}")
        return {}
    order = [int(content) for content in index[repetition]]
    train, val = math.ceil(0.6 * len(order)), math.ceil(0.8 * len(order))
    return {
        content: "train" if place < train else "val" if place < val else "test" for place, content in enumerate(order)
    }
