"""Waterloo IVC 4K: 20 contents by 5 encoders by 3 resolutions by 4 levels, with MOS from 0 to 100.

``scores.txt`` has encoder, video number, resolution, level and MOS, with or without a header.

Ref: Li et al., "AVC, HEVC, VP9, AVS2 or AV1? A comparative study of state-of-the-art video encoders on 4K videos"
(2019). The test contents, numbers 1 to 4, are those of InternVQA (Guan et al., 2025).
"""

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import RawFormat
from pipeline.preparation.datasets.shared.settings import BroughtSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "waterloo_ivc_4k"
SCALE = ScoreScale(score_name="MOS", low=0.0, high=100.0)
SIZES = {"540p": (960, 540), "1080p": (1920, 1080), "2160p": (3840, 2160)}
DOWNLOAD = tell(
    NAME,
    "Get the videos and scores.txt from the University of Waterloo (ece.uwaterloo.ca/~zduanmu/waterloo4kvqa). "
    "Expected: scores.txt, and HEVC/01/960x540_1.mp4 or HEVC_1_540p_1.yuv and so on.",
)
_COLUMNS = ("encoder", "video_number", "resolution", "distortion_level", "mos")


class Settings(BroughtSettings):
    """Where the videos lie; the paths' fields are the table's columns, ``number`` (two digits) and ``size``."""

    folder: str = "raw/waterloo_ivc_4k"
    paths: list[str] = Field(
        [
            "{encoder}/{number}/{size}_{distortion_level}.mp4",
            "{encoder}_{video_number}_{resolution}_{distortion_level}.yuv",
            "{encoder}_{video_number}_{resolution}_{distortion_level}.mp4",
        ],
        min_length=1,
    )
    labels: str = "scores.txt"
    test_contents: list[int] | None = Field([1, 2, 3, 4])
    """Video numbers that are the test split; null draws them."""


def _find(found: Brought, settings: Settings) -> None:
    """Finds every encode that the table names."""
    for row in read_rows(found.table(settings.labels), _COLUMNS, header=_COLUMNS):
        if row["resolution"] not in SIZES or not row["video_number"].isdigit():
            found.problem(
                f"{row.where}: got video_number {row['video_number']!r} and resolution {row['resolution']!r}; "
                f"expected a number and one of {', '.join(SIZES)}"
            )
            continue
        (width, height), number = SIZES[row["resolution"]], int(row["video_number"])
        fields = {**row.values, "number": f"{number:02d}", "size": f"{width}x{height}", "video_number": str(number)}
        found.add(
            row.where,
            fields,
            score=row["mos"],
            content=f"{number:02d}",
            video_id=f"{row['encoder']}_{number:02d}_{row['resolution']}_{row['distortion_level']}",
            codec=row["encoder"].lower(),
            level=row["distortion_level"],
            split="test" if number in (settings.test_contents or ()) else None,
            raw=RawFormat(width=width, height=height),
        )


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
