"""KonIQ-10k: 10,073 still images from the wild, as videos of one frame, with MOS from 1 to 5.

``koniq10k_scores_and_distributions.csv`` has ``image_name`` and ``MOS``. Set ``render.short: repeat``. Every image is
its own content.

Ref: Hosu et al., "KonIQ-10k: An ecologically valid database for deep learning of blind image quality assessment"
(2020). Left out: the scores from 1 to 100 of ``koniq10k_distributions_sets.csv``, and its split.
"""

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "koniq10k"
SCALE = ScoreScale(score_name="MOS", low=1.0, high=5.0)
DOWNLOAD = tell(
    NAME,
    "Get it from the University of Konstanz (database.mmsp-kn.de). Expected: koniq10k_scores_and_distributions.csv and "
    "the images in 1024x768/ or 512x384/.",
)


class Settings(BroughtSettings):
    """Where the images lie; the paths' field is ``image_name``."""

    folder: str = "raw/koniq10k"
    paths: list[str] = Field(["1024x768/{image_name}", "512x384/{image_name}", "{image_name}"], min_length=1)
    labels: str = "koniq10k_scores_and_distributions.csv"


def _find(found: Brought, settings: Settings) -> None:
    """Finds every image of the table."""
    for row in read_rows(found.table(settings.labels), ["image_name", "MOS"]):
        found.add(row.where, row.values, score=row["MOS"])


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
