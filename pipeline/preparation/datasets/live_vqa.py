"""LIVE VQA: 10 references by 15 distorted videos, raw 4:2:0, 768x432, with DMOS.

``live_video_quality_seqs.txt`` lists the files; ``live_video_quality_data.txt`` has each one's DMOS, line by line.
Names tell content, distortion and rate (``pa2_25fps.yuv``) but not the size. Lower DMOS is better; it is turned.

Ref: Seshadrinathan et al., "Study of subjective and objective quality assessment of video" (2010). Distortions 2 to 5
are wireless, 6 to 8 IP, 9 to 12 H.264, 13 to 16 MPEG-2. Left out: the references, which have no score.
"""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings, RawSettings
from pipeline.preparation.datasets.shared.tables import read_rows

NAME = "live_vqa"
SCALE = ScoreScale(score_name="DMOS", low=0.0, high=100.0, published_direction="lower_is_better")
SEQUENCES, SCORES = "live_video_quality_seqs.txt", "live_video_quality_data.txt"
DOWNLOAD = tell(
    NAME,
    "Ask LIVE (live.ece.utexas.edu/research/Quality/live_video.html) for it. Expected: live_video_quality_seqs.txt, "
    "live_video_quality_data.txt, and the videos as pa_Folder/pa2_25fps.yuv or all in one folder.",
)
_KINDS = {range(2, 6): "wireless", range(6, 9): "ip", range(9, 13): "h264", range(13, 17): "mpeg2"}


class Settings(BroughtSettings):
    """Where the videos lie, and their size; the paths' fields are ``name``, ``content`` and ``distortion``."""

    folder: str = "raw/live_vqa"
    paths: list[str] = Field(["{content}_Folder/{name}", "{name}"], min_length=1)
    raw: RawSettings = RawSettings(width=768, height=432)


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the list."""
    names = read_rows(found.table(SEQUENCES), ["name"], header=["name"], blanks=True)
    scores = read_rows(found.table(SCORES), ["dmos"], header=["dmos"], blanks=True)
    if len(names) != len(scores):
        found.problem(f"{SEQUENCES} has {len(names)} rows, {SCORES} {len(scores)}; expected as many")
    for name, score in zip(names[: len(scores)], scores[: len(names)], strict=True):
        stem = Path(name["name"]).stem
        content, distortion = stem[:2], stem[2:].split("_")[0]
        kind, level = _kind(distortion)
        found.add(
            name.where,
            {"name": name["name"], "content": content, "distortion": distortion},
            score=score["dmos"],
            content=content,
            codec=kind,
            level=level,
        )


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)


def _kind(distortion: str) -> tuple[str, str]:
    """Kind of distortion and its number within the kind; empty where the name says nothing."""
    if not distortion.isdigit():
        return "", ""
    number = int(distortion)
    return next(
        ((kind, str(number - numbers.start + 1)) for numbers, kind in _KINDS.items() if number in numbers), ("", "")
    )
