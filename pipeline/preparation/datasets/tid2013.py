"""TID2013: 25 still images by 24 distortions by 5 levels, as videos of one frame, with MOS from 0 to 9.

``mos_with_names.txt`` has score and name, in letters whose case differs from the files'. The codec column holds the
distortion's number. Set ``render.short: repeat``.

Ref: Ponomarenko et al., "Image database TID2013: Peculiarities, results and perspectives" (2015).
"""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "tid2013"
SCALE = ScoreScale(score_name="MOS", low=0.0, high=9.0)
DOWNLOAD = tell(
    NAME,
    "Get it from ponomarenko.info/tid2013.htm. Expected: mos_with_names.txt and distorted_images/i01_01_1.bmp …",
)


class Settings(BroughtSettings):
    """Where the images lie; the paths' fields are ``name``, and ``lower``, ``upper``, ``capital`` of it."""

    folder: str = "raw/tid2013"
    paths: list[str] = Field(
        [
            "distorted_images/{name}",
            "distorted_images/{lower}",
            "distorted_images/{upper}",
            "distorted_images/{capital}",
        ],
        min_length=1,
    )
    labels: str = "mos_with_names.txt"


def _find(found: Brought, settings: Settings) -> None:
    """Finds every image of the table."""
    for row in read_rows(found.table(settings.labels), ["mos", "name"], header=["mos", "name"], blanks=True):
        name = row["name"]
        stem = Path(name).stem.lower()
        parts = stem.split("_")
        kind, level = (f"distortion {parts[1]}", parts[2]) if len(parts) == 3 else ("", "")
        fields = {"name": name, "lower": name.lower(), "upper": name.upper(), "capital": name.lower().capitalize()}
        found.add(row.where, fields, score=row["mos"], content=parts[0], video_id=stem, codec=kind, level=level)


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
