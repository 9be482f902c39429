"""YouTube-UGC: about 1380 uploads in 15 categories, 360p to 4K, with MOS from 1 to 5.

The score of the whole video (``MOSFull``) is used; those of its chunks are left out. The publisher's table is a
spreadsheet: save it as CSV. Every video is its own content.

Ref: Wang, Inguva, Adsumilli, "YouTube UGC dataset for video compression research" (2019); the scores are of 2020.
"""

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "youtube_ugc"
SCALE = ScoreScale(score_name="MOS", low=1.0, high=5.0)
DOWNLOAD = tell(
    NAME,
    "Get the videos from gs://ugc-dataset (media.withgoogle.com) and the spreadsheet of scores, saved as mos.csv with "
    "the columns vid,category,resolution,MOSFull. Expected: mos.csv and the videos, such as "
    "original_videos_h264/<vid>_crf_10_ss_00_t_20.0.mp4 or <vid>.mkv.",
)


class Settings(BroughtSettings):
    """Where the videos lie; the paths' fields are the table's columns."""

    folder: str = "raw/youtube_ugc"
    paths: list[str] = Field(
        [
            "original_videos_h264/{vid}_crf_10_ss_00_t_20.0.mp4",
            "original_videos/{category}/{resolution}/{vid}.mkv",
            "{vid}_crf_10_ss_00_t_20.0.mp4",
            "{vid}.mp4",
            "{vid}.mkv",
        ],
        min_length=1,
    )
    labels: str = "mos.csv"


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the table."""
    for row in read_rows(found.table(settings.labels), ["vid", "category", "resolution", "MOSFull"]):
        found.add(row.where, row.values, score=row["MOSFull"], video_id=row["vid"])


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
