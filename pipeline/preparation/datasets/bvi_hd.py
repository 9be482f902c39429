"""BVI-HD: 32 references, each as 6 HEVC and 6 HEVC-with-synthesis encodes, 1920x1080.

Raw 4:2:0 video whose names have size and rate; the scores come as the list that the InternVQA authors use. Left out:
the reference videos, which have no score. The test references are those of InternVQA (Guan et al., 2025).
"""

from typing import Literal

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings

FACTS = Facts(
    title="BVI-HD",
    videos=384,
    scores={"overall": ScoreScale(score_name="DMOS", low=-10.0, high=70.0, published_direction="lower_is_better")},
    contents="32 references by 6 HEVC and 6 HEVC-SYNTH encodes; the reference is the content",
    home="the University of Bristol (data.bris.ac.uk)",
    tree="BVIHD.txt\nHEVC/*.yuv\nHEVC-SYNTH/*.yuv",
    paper="https://doi.org/10.1109/TMM.2018.2817070",
    note="The test references are InternVQA's by default.",
    read="no",
    checked="scores of the HEVC half compared with a second source; the list's columns from a description",
)
TEST_CONTENTS = ("BallUnderWater", "Bookcase", "BricksLeaves", "Music", "PlasmaSlowRandom", "TreeGrassFamily")


class Settings(PublishedSettings):
    """What the samples are, and which contents are tested."""

    pix_fmt: dict[str, Literal["yuv420p", "yuv420p10le"]] = Field(default_factory=dict)
    """Encoder → its samples; what is left out comes from the names, else has 8 bits."""
    test_contents: list[str] | None = Field(list(TEST_CONTENTS))
    """References that are the test split; null draws them."""


def _derive(fields: dict[str, str], settings: Settings) -> dict[str, str]:
    content = fields["original"].split("_")[0].removesuffix(".yuv")
    return {
        "content": content,
        "codec": fields["encoder"].lower(),
        "split": "test" if content in (settings.test_contents or ()) else "",
        "pix_fmt": settings.pix_fmt.get(fields["encoder"], ""),
    }


_, scales, collect, survey = described(
    __name__,
    FACTS,
    settings=Settings,
    labels=[
        Labels(
            files=["BVIHD.txt", "dmos.csv"],
            columns={
                "original": "Original_Name",
                "name": "Name",
                "overall": "dmos",
                "encoder": "encoder",
                "level": "distortion_level",
            },
        )
    ],
    derive=_derive,
    paths=["{encoder}/{name}", "{encoder}/{name}.yuv"],
)
