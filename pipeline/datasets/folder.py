"""A folder of videos without scores: to cache targets for, or to learn from the teacher alone."""

from pathlib import Path

from pydantic import Field

from pipeline.datasets import Entry, Progress
from pipeline.datasets._brought import (
    VIDEO_SUFFIXES,
    Brought,
    BroughtSettings,
    ContentPattern,
    content_of,
    files_below,
    tell,
)
from pipeline.manifest import ScoreScale

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


def scales(settings: Settings) -> dict[str, ScoreScale]:
    """A scale on which nothing is scored."""
    del settings
    return {NAME: SCALE}


def collect(settings: Settings, data_root: Path, workers: int, progress: Progress | None = None) -> list[Entry]:
    """Finds every video of the folder; its path there is its name.

    Raises:
        DatasetError: with every problem.
    """
    del workers, progress
    found = Brought(NAME, SCALE, settings, data_root, DOWNLOAD)
    for path in files_below(found.folder):
        if Path(path).suffix.lower() in settings.suffixes:
            found.add(path, {"path": path}, score=None, video_id=path, content=content_of(path, settings.content))
    return found.entries()
