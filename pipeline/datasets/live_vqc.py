"""LIVE-VQC: 585 videos from phones, of many sizes, with MOS from 0 to 100.

``data.mat`` (MATLAB 5) has ``video_list`` and ``mos``. Every video is its own content.

Ref: Sinno and Bovik, "Large-scale study of perceptual video quality" (2019).
"""

from pathlib import Path

from pydantic import Field

from pipeline.datasets import Entry, Progress
from pipeline.datasets._brought import Brought, BroughtSettings, tell
from pipeline.datasets._tables import read_mat
from pipeline.manifest import ScoreScale

NAME = "live_vqc"
SCALE = ScoreScale(score_name="MOS", low=0.0, high=100.0)
DOWNLOAD = tell(
    NAME, "Ask LIVE (live.ece.utexas.edu/research/LIVEVQC) for it. Expected: data.mat and Video/A001.mp4 and so on."
)


class Settings(BroughtSettings):
    """Where the videos lie; the paths' field is ``name``."""

    folder: str = "raw/live_vqc"
    paths: list[str] = Field(["Video/{name}", "{name}"], min_length=1)
    labels: str = "data.mat"


def scales(settings: Settings) -> dict[str, ScoreScale]:
    """The scale of the scores, by data set."""
    del settings
    return {NAME: SCALE}


def collect(settings: Settings, data_root: Path, workers: int, progress: Progress | None = None) -> list[Entry]:
    """Finds every video of the list.

    Raises:
        DatasetError: with every problem.
    """
    del workers, progress
    found = Brought(NAME, SCALE, settings, data_root, DOWNLOAD)
    path = found.table(settings.labels)
    values = read_mat(path, ["video_list", "mos"])
    names, scores = values["video_list"], values["mos"].ravel()
    if len(names) != len(scores):
        found.problem(f"{path}: {len(names)} names but {len(scores)} scores")
    for number, (name, score) in enumerate(zip(names, scores, strict=False), start=1):
        found.add(f"{path.name}, entry {number}", {"name": name}, score=float(score))
    return found.entries()
