"""KADID-10k: 81 still images by 25 distortions by 5 levels, as videos of one frame, with scores from 1 to 5.

``dmos.csv`` has ``dist_img``, ``ref_img``, ``dmos``, ``var``. Despite its name the score is higher for better images.
The codec column holds the distortion's number. Set ``render.short: repeat``.

Ref: Lin, Hosu, Saupe, "KADID-10k: A large-scale artificially distorted IQA database" (2019).
"""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "kadid10k"
SCALE = ScoreScale(score_name="DMOS (higher is better)", low=1.0, high=5.0)
DOWNLOAD = tell(
    NAME,
    "Get it from the University of Konstanz (database.mmsp-kn.de). Expected: dmos.csv and images/I01_01_01.png …",
)


class Settings(BroughtSettings):
    """Where the images lie; the paths' fields are the table's columns."""

    folder: str = "raw/kadid10k"
    paths: list[str] = Field(["images/{dist_img}", "{dist_img}"], min_length=1)
    labels: str = "dmos.csv"


def _find(found: Brought, settings: Settings) -> None:
    """Finds every image of the table."""
    for row in read_rows(found.table(settings.labels), ["dist_img", "ref_img", "dmos"]):
        parts = Path(row["dist_img"]).stem.split("_")
        kind, level = (f"distortion {parts[1]}", parts[2]) if len(parts) == 3 else ("", "")
        content = Path(row["ref_img"]).stem
        found.add(row.where, row.values, score=row["dmos"], content=content, codec=kind, level=level)


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
