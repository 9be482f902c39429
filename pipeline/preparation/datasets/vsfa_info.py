"""VSFA's and MDTVSFA's ``*info.mat``: names, scores, contents and a thousand random splits of a data set.

Version 7.3 is read through h5py, version 5 through scipy. With ``repetition`` the publisher's split of that number is
used: 60 % of the contents train, 20 % validate, 20 % test, with the boundaries that ``protocol`` computes.

Ref: Li, Jiang, Jiang, "Quality assessment of in-the-wild videos" (VSFA, 2019) and "Unified quality assessment of
in-the-wild videos with mixed datasets training" (MDTVSFA, 2021): the ``VQADataset`` of each, for the rounding.
"""

import math
import re
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pipeline.core.manifest import Split
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.matlab import read_mat
from pipeline.preparation.datasets.shared.settings import ScoredSettings

NAME = "vsfa_info"
DOWNLOAD = tell(
    NAME,
    "Get the videos from their publisher and an info file (KoNViD-1kinfo.mat, CVD2014info.mat, …) from "
    "github.com/lidq92/VSFA. Expected: the info file that prepare.options.vsfa_info.labels names, and the videos.",
)


class Settings(ScoredSettings):
    """Which info file, where its videos lie, and the scale of its scores.

    The paths' fields are ``name``, ``stem``, and ``number``, the digits that the name begins with (KoNViD-1k's names
    are the old ones: ``{number}.mp4`` finds today's files).
    """

    labels: str
    repetition: Annotated[int, Field(ge=0)] | None = None
    """Row of the info file's ``index``, from 0; null leaves the split to ``prepare``."""
    protocol: Literal["vsfa", "mdtvsfa"] = "vsfa"
    """Whose boundaries between the splits: VSFA rounds up what floating point gives, MDTVSFA down."""


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the info file."""
    path = found.table(settings.labels)
    index = ["index"] if settings.repetition is not None else []
    values = read_mat(path, ["scores", "ref_ids", *index], ["video_names"])
    for name in ("ref_ids", *index):
        if not np.isfinite(values[name]).all():
            raise DatasetError(f"{path}: {name} has values that are no numbers; download it again")
    splits = (
        _splits(values["index"], settings.repetition, settings.protocol, found)
        if settings.repetition is not None
        else {}
    )
    scores, references = values["scores"].ravel(), values["ref_ids"].ravel()
    counts = {"video_names": len(values["video_names"]), "scores": len(scores), "ref_ids": len(references)}
    if len(set(counts.values())) > 1:
        counted = ", ".join(f"{count} of {name}" for name, count in counts.items())
        found.problem(f"{path}: got {counted}; expected as many of each; download it again")
    found.tables.append(f"{path.name}: {min(counts.values())} rows; MATLAB")
    rows = zip(values["video_names"], scores, references, strict=False)
    for number, (name, score, reference) in enumerate(rows, start=1):
        where = f"{path.name}, entry {number}"
        found.add(
            where,
            {"name": name, "stem": Path(name).stem, "number": _number(name)},
            score=float(score),
            content="" if settings.content else f"{int(reference)}",
            pattern=settings.content,
            split=splits.get(int(reference)),
        )


scales, collect, survey = brought(
    NAME, lambda settings: settings.scale, DOWNLOAD, _find, paths=["{name}", "{name}.mp4", "{number}.mp4"]
)


def _number(name: str) -> str:
    found = re.match(r"\d+", Path(name).stem)
    return found[0] if found else Path(name).stem


def _splits(index: np.ndarray, repetition: int, protocol: str, found: Brought) -> dict[int, Split]:
    """Content → split of one repetition."""
    if repetition >= len(index):
        found.problem(f"prepare.options.{NAME}.repetition: got {repetition}; the file has 0 to {len(index) - 1}")
        return {}
    order = [int(content) for content in index[repetition]]
    train, val = _boundaries(len(order), protocol)
    return {
        content: "train" if place < train else "val" if place < val else "test" for place, content in enumerate(order)
    }


def _boundaries(count: int, protocol: str) -> tuple[int, int]:
    """Where validation and test begin. The errors of floating point are the publishers' own: 721 of 1200, not 720."""
    if protocol == "vsfa":
        return math.ceil((1 - 0.2 - 0.2) * count), math.ceil((1 - 0.2) * count)
    return int(0.6 * count), int((0.5 + 0.6 / 2) * count)
