"""VSFA's and MDTVSFA's ``*info.mat``: names, scores, contents and a thousand random splits of a data set.

Version 7.3 (VSFA) is read through h5py, version 5 through scipy. With ``repetition`` the publisher's split of that
number is followed: 60 % of the contents train, 20 % validate, 20 % test.

Ref: Li, Jiang, Jiang, "Quality assessment of in-the-wild videos" (VSFA, 2019), its ``VQADataset`` for the rounding.
"""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.core.manifest import Split
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.settings import ScoredSettings
from pipeline.preparation.datasets.shared.tables import read_mat

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


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the info file."""
    path = found.table(settings.labels)
    index = ["index"] if settings.repetition is not None else []
    values = read_mat(path, ["scores", "ref_ids", *index], ["video_names"])
    for name in ("ref_ids", *index):
        if not np.isfinite(values[name]).all():
            raise DatasetError(f"{path}: {name} has values that are no numbers; download it again")
    splits = _splits(values["index"], settings.repetition, found) if settings.repetition is not None else {}
    columns = {"video_names": values["video_names"], **{name: values[name].ravel() for name in ("scores", "ref_ids")}}
    for where, (name, score, reference) in found.aligned(path, **columns):
        found.add(
            where,
            {"name": name, "stem": Path(name).stem},
            score=float(score),
            content="" if settings.content else f"{int(reference)}",
            pattern=settings.content,
            split=splits.get(int(reference)),
        )


scales, collect = brought(NAME, lambda settings: settings.scale, DOWNLOAD, _find)


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
