"""LIVE IQA (release 2): 29 still images, 779 distorted ones, as videos of one frame.

The realigned scores train by default; ``score: first_release`` takes those of ``dmos.mat``. The tables are in the order
JPEG 2000, JPEG, white noise, blur, fast fading, and ``orgs`` is 1 where an image is an undistorted copy, which is left
out. The codec column holds the distortion.
"""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.core.settings import Count
from pipeline.preparation.datasets.shared.described import Found, Labels, described
from pipeline.preparation.datasets.shared.entry import DatasetError
from pipeline.preparation.datasets.shared.facts import LIVE_NOTICE, Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings

_DMOS = ScoreScale(score_name="DMOS", low=-10.0, high=120.0, published_direction="lower_is_better")
FACTS = Facts(
    title="LIVE IQA, release 2",
    videos=779,
    kind="images",
    scores={"overall": _DMOS, "first_release": _DMOS},
    contents="29 references by 5 distortions at several levels; the reference is the content",
    home="live.ece.utexas.edu/research/quality",
    licence=LIVE_NOTICE,
    request="yes",
    tree="dmos_realigned.mat (or dmos.mat, of the first release)\nrefnames_all.mat\n"
    "jp2k/img1.bmp …, jpeg/, wn/, gblur/, fastfading/",
    paper="https://doi.org/10.1109/TIP.2006.881959",
    read="no",
    checked="variables from public loaders",
)


class Settings(PublishedSettings):
    """How many images the tables have."""

    images: dict[str, Count] = Field(
        {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}, min_length=1
    )
    """Distortion → how many images the tables have of it, in the tables' order."""


def _find(found: Found, settings: Settings) -> None:
    """Finds every distorted image."""
    file, variable = {"overall": ("dmos_realigned.mat", "dmos_new"), "first_release": ("dmos.mat", "dmos")}[
        found.chosen
    ]
    names = Labels(files=["refnames_all.mat"], columns={"name": "refnames_all"})
    labels = Labels(files=[file], columns={found.chosen: variable, "copy": "orgs"}, beside=names)
    rows = found.rows(labels)
    places = [(name, number) for name, count in settings.images.items() for number in range(1, count + 1)]
    if len(rows) != len(places):
        raise DatasetError(
            f"{file} and refnames_all.mat have {len(rows)} entries; expected {len(places)}; "
            "see prepare.options.live_iqa.images"
        )
    for row, (distortion, number) in zip(rows, places, strict=True):
        if row["copy"] == "0":
            content = Path(row["name"]).stem
            place = {"codec": distortion, "number": str(number), "padded": f"{number:03d}", "content": content}
            found.add(row, labels, more=place)


_, scales, collect, survey = described(
    __name__,
    FACTS,
    settings=Settings,
    find=_find,
    paths=["{codec}/img{number}.bmp"],
    video_id="{codec}_{padded}",
)
