"""LIVE-VQC: 585 videos from phones, of many sizes, with MOS from 0 to 100.

``data.mat`` (MATLAB 5) has ``video_list`` and ``mos``. Every video is its own content.

Ref: Sinno and Bovik, "Large-scale study of perceptual video quality" (2019).
"""

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_mat

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


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the list."""
    path = found.table(settings.labels)
    values = read_mat(path, ["mos"], ["video_list"])
    for where, (name, score) in found.aligned(path, video_list=values["video_list"], mos=values["mos"].ravel()):
        found.add(where, {"name": name}, score=float(score))


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
