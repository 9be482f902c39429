"""CVD2014: 234 videos of 5 scenes, shot by 78 cameras, with realigned MOS.

``Realignment_MOS.csv`` has ``File_name``, ``Content`` and ``RealignmentMOS``. Of each scene there are many videos, so
the scene is the content.

Ref: Nuutinen et al., "CVD2014 - A database for evaluating no-reference video quality assessment algorithms" (2016).
"""

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "cvd2014"
SCALE = ScoreScale(score_name="realigned MOS", low=-10.0, high=100.0)
DOWNLOAD = tell(
    NAME,
    "Get it from the University of Helsinki (zenodo.org, CVD2014). Expected: Realignment_MOS.csv and the videos, such "
    "as Test1/City/Test01_City_D01.avi.",
)


class Settings(BroughtSettings):
    """Where the videos lie; the paths' fields are the table's columns, ``test`` (such as 1) and ``scene``."""

    folder: str = "raw/cvd2014"
    paths: list[str] = Field(
        ["Test{test}/{scene}/{File_name}.avi", "{File_name}.avi", "{File_name}", "{Content}/{File_name}.avi"],
        min_length=1,
    )
    labels: str = "Realignment_MOS.csv"


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the table."""
    for row in read_rows(found.table(settings.labels), ["File_name", "Content", "RealignmentMOS"]):
        name = row["File_name"].removesuffix(".avi")
        parts = name.split("_")
        test = parts[0].removeprefix("Test").lstrip("0")
        fields = {**row.values, "File_name": name, "test": test, "scene": parts[1] if len(parts) > 1 else ""}
        found.add(row.where, fields, score=row["RealignmentMOS"], content=row["Content"], video_id=name)


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
