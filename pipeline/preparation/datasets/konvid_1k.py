"""KoNViD-1k: 1200 videos from the wild, 960x540, with MOS from 1 to 5.

The scores come as ``KoNViD_1k_mos.csv``, ``KoNViD_1k_attributes.csv`` or VSFA's ``KoNViD-1kinfo.mat``; the first that
is there is read. Every video is its own content.

Ref: Hosu et al., "The Konstanz natural video database (KoNViD-1k)" (2017).
"""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_mat, read_rows

NAME = "konvid_1k"
SCALE = ScoreScale(score_name="MOS", low=1.0, high=5.0)
TABLES = {"KoNViD_1k_mos.csv": ("flickr_id", "mos"), "KoNViD_1k_attributes.csv": ("file_name", "MOS")}
MATLAB = "KoNViD-1kinfo.mat"
DOWNLOAD = tell(
    NAME,
    "Get the videos and the metadata from the University of Konstanz (database.mmsp-kn.de). Expected: "
    "KoNViD_1k_videos/*.mp4 and one of KoNViD_1k_mos.csv, KoNViD_1k_attributes.csv, KoNViD-1kinfo.mat.",
)


class Settings(BroughtSettings):
    """Where the videos lie; the paths' field ``id`` is the Flickr number."""

    folder: str = "raw/konvid_1k"
    paths: list[str] = Field(
        [
            "KoNViD_1k_videos/{id}.mp4",
            "KoNViD_1k_videos/{id}_original_centercrop_960x540_8s.mp4",
            "{id}.mp4",
            "{id}_original_centercrop_960x540_8s.mp4",
        ],
        min_length=1,
    )


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video that the scores name."""
    for where, name, score in _scores(found):
        number = Path(name).stem.split("_")[0]
        found.add(where, {"id": number, "name": name}, score=score, video_id=number)


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)


def _scores(found: Brought) -> list[tuple[str, str, str | float]]:
    path = found.table(*TABLES, MATLAB)
    if path.name in TABLES:
        name, score = TABLES[path.name]
        return [(row.where, row[name], row[score]) for row in read_rows(path, [name, score])]
    values = read_mat(path, ["scores"], ["video_names"])
    entries = found.aligned(path, video_names=values["video_names"], scores=values["scores"].ravel())
    return [(where, name, float(score)) for where, (name, score) in entries]
