"""Waterloo IVC 4K: 20 contents by 5 encoders by 3 resolutions by 4 levels.

The test contents, numbers 1 to 4, are those of InternVQA (Guan et al., 2025).
"""

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.described import Labels, described
from pipeline.preparation.datasets.shared.facts import Facts
from pipeline.preparation.datasets.shared.settings import PublishedSettings

FACTS = Facts(
    title="Waterloo IVC 4K",
    videos=1200,
    scores={"overall": ScoreScale(score_name="MOS", low=0.0, high=100.0)},
    contents="20 sources by 5 encoders by 3 resolutions by 4 levels; the source is the content",
    home="ece.uwaterloo.ca/~zduanmu/waterloo4kvqa",
    request="no",
    tree="scores.txt, with or without a header\nHEVC/01/960x540_1.mp4 … (or HEVC_1_540p_1.yuv …)",
    paper="unknown",
    note="The test contents are InternVQA's by default.",
    read="excerpt",
    checked="a copy of 1200 rows with a header; an excerpt of one without",
)
SIZES = {"540p": "960x540", "1080p": "1920x1080", "2160p": "3840x2160"}
_HEADER = ["encoder", "video_number", "resolution", "distortion_level", "mos"]


class Settings(PublishedSettings):
    """Which contents are tested."""

    test_contents: list[int] | None = Field([1, 2, 3, 4])
    """Video numbers that are the test split; null draws them."""


def _derive(fields: dict[str, str], settings: Settings) -> dict[str, str]:
    size, number = SIZES.get(fields["resolution"], "x"), fields["name"]
    width, height = size.split("x")
    is_test = number.isdigit() and int(number) in (settings.test_contents or ())
    return {
        "number": number.zfill(2),
        "size": size,
        "width": width,
        "height": height,
        "content": number.zfill(2),
        "codec": fields["encoder"].lower(),
        "split": "test" if is_test else "",
    }


_, scales, collect, survey = described(
    __name__,
    FACTS,
    settings=Settings,
    labels=[
        Labels(
            files=["scores.txt", "scores.csv"],
            columns={
                "encoder": "encoder",
                "name": "video_number",
                "resolution": "resolution",
                "level": "distortion_level",
                "overall": "mos",
            },
            header=_HEADER,
        )
    ],
    derive=_derive,
    paths=[
        "{encoder}/{number}/{size}_{level}.mp4",
        "{encoder}_{name}_{resolution}_{level}.yuv",
        "{encoder}_{name}_{resolution}_{level}.mp4",
    ],
    video_id="{encoder}_{number}_{resolution}_{level}",
)
