"""BVI-HD: 32 references, each as 6 HEVC and 6 HEVC-with-synthesis encodes, 1920x1080, with DMOS.

Raw 4:2:0 video whose names tell size and rate; the scores come as the table that the InternVQA authors use, whose
columns name the reference, the file, its DMOS, encoder and level. Lower DMOS is better; it is turned.

Ref: Zhang et al., "BVI-HD: A video quality database for HEVC compressed and texture synthesised content" (2018). The
test references are those of InternVQA (Guan et al., 2025). Left out: the reference videos, which have no score.
"""

from typing import Literal

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import RawFormat
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "bvi_hd"
SCALE = ScoreScale(score_name="DMOS", low=-10.0, high=70.0, published_direction="lower_is_better")
TEST_CONTENTS = ("BallUnderWater", "Bookcase", "BricksLeaves", "Music", "PlasmaSlowRandom", "TreeGrassFamily")
DOWNLOAD = tell(
    NAME,
    "Ask the University of Bristol for BVI-HD (data.bris.ac.uk). Expected: HEVC/*.yuv and HEVC-SYNTH/*.yuv, and the "
    "scores as dmos.csv with the columns Original_Name,Name,dmos,encoder,distortion_level.",
)


class Settings(BroughtSettings):
    """Where the videos lie and what their samples are."""

    folder: str = "raw/bvi_hd"
    paths: list[str] = Field(["{encoder}/{Name}", "{encoder}/{Name}.yuv"], min_length=1)
    labels: str = "dmos.csv"
    pix_fmt: dict[str, Literal["yuv420p", "yuv420p10le"]] = Field(default_factory=dict)
    """Encoder → its samples; what is left out comes from the names, else has 8 bits."""
    test_contents: list[str] | None = Field(list(TEST_CONTENTS))
    """References that are the test split; null draws them."""


def _find(found: Brought, settings: Settings) -> None:
    """Finds every encode that the table names."""
    for row in read_rows(
        found.table(settings.labels), ["Original_Name", "Name", "dmos", "encoder", "distortion_level"]
    ):
        content = row["Original_Name"].split("_")[0].removesuffix(".yuv")
        raw = RawFormat(pix_fmt=settings.pix_fmt.get(row["encoder"]))
        found.add(
            row.where,
            row.values,
            score=row["dmos"],
            content=content,
            codec=row["encoder"].lower(),
            level=row["distortion_level"],
            split="test" if content in (settings.test_contents or ()) else None,
            raw=raw,
        )


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
