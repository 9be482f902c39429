"""A folder of videos without scores: to cache targets for, or to learn from the teacher alone."""

from pathlib import Path

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.files import VIDEO_SUFFIXES
from pipeline.preparation.datasets.shared.settings import BroughtSettings, ContentPattern

NAME = "folder"
SCALE = ScoreScale(score_name="none", low=0.0, high=1.0)
DOWNLOAD = tell(NAME, "Expected: video files, in folders as you like.")


class Settings(BroughtSettings):
    """Which files, and what belongs together."""

    folder: str = "raw/folder"
    paths: list[str] = Field(["{path}"], min_length=1)
    suffixes: list[str] = Field(list(VIDEO_SUFFIXES), min_length=1)
    """Of the files that are videos, in lower case; add ``.png`` and the like for still images."""
    content: ContentPattern = None


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the folder; its path there is its name."""
    for path in found.files():
        if Path(path).suffix.lower() in settings.suffixes:
            found.add(path, {"path": path}, score=None, video_id=path, pattern=settings.content)


scales, collect = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
