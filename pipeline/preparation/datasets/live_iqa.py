"""LIVE IQA (release 2): 29 still images, 779 distorted ones, as videos of one frame, with DMOS.

``dmos.mat`` has ``dmos`` and ``orgs`` (1 where an image is an undistorted copy, which is left out), and
``refnames_all.mat`` the reference of each; both are in the order JPEG 2000, JPEG, white noise, blur, fast fading. Lower
DMOS is better; it is turned. The codec column holds the distortion. Set ``render.short: repeat``.

Ref: Sheikh, Sabir, Bovik, "A statistical evaluation of recent full reference image quality assessment algorithms"
(2006).
"""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.core.settings import Count
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_mat

NAME = "live_iqa"
SCALE = ScoreScale(score_name="DMOS", low=-10.0, high=120.0, published_direction="lower_is_better")
DOWNLOAD = tell(
    NAME,
    "Ask LIVE (live.ece.utexas.edu/research/quality) for release 2. Expected: dmos.mat (or dmos_realigned.mat), "
    "refnames_all.mat, and jp2k/img1.bmp and so on.",
)


class Settings(BroughtSettings):
    """Where the images lie; the paths' fields are ``distortion`` and ``number``."""

    folder: str = "raw/live_iqa"
    paths: list[str] = Field(["{distortion}/img{number}.bmp"], min_length=1)
    labels: str = "dmos.mat"
    variable: str = "dmos"
    """Of the scores; ``dmos_new`` in ``dmos_realigned.mat``."""
    images: dict[str, Count] = Field(
        {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}, min_length=1
    )
    """Distortion → how many images the tables have of it, in the tables' order."""


def _find(found: Brought, settings: Settings) -> None:
    """Finds every distorted image."""
    path = found.table(settings.labels)
    values = read_mat(path, [settings.variable, "orgs"])
    references = read_mat(found.table("refnames_all.mat"), [], ["refnames_all"])["refnames_all"]
    scores, copies = values[settings.variable].ravel(), values["orgs"].ravel()
    places = [(name, number) for name, count in settings.images.items() for number in range(1, count + 1)]
    if not len(scores) == len(copies) == len(references) == len(places):
        raise DatasetError(
            f"{path} has {len(scores)} scores and {len(copies)} orgs, refnames_all.mat {len(references)} names; "
            f"expected {len(places)} of each; see prepare.options.{NAME}.images"
        )
    for (distortion, number), score, copy, reference in zip(places, scores, copies, references, strict=True):
        if copy:
            continue
        found.add(
            f"{path.name}, {distortion} {number}",
            {"distortion": distortion, "number": str(number)},
            score=float(score),
            content=Path(reference).stem,
            video_id=f"{distortion}_{number:03d}",
            codec=distortion,
        )


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
