"""A folder of videos without scores: to cache targets for, or to learn from the teacher alone."""

import sys

from pydantic import Field

from pipeline.core.manifest import ScoreScale
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.settings import BroughtSettings, ContentPattern
from pipeline.video.suffixes import VIDEO_SUFFIXES, left_out

NAME = "folder"
SCALE = ScoreScale(score_name="none", low=0.0, high=1.0)
DOWNLOAD = tell(NAME, "Expected: video files, in folders as you like.")


class Settings(BroughtSettings):
    """Which files, and what belongs together."""

    folder: str = "raw/folder"
    paths: list[str] = Field(["{path}"], min_length=1)
    suffixes: list[str] = Field(list(VIDEO_SUFFIXES), min_length=1)
    """Of the files that are videos; add ``.png`` and the like for still images. Case does not count."""
    content: ContentPattern = None


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the folder; its path there is its name. What is taken for none is named."""
    suffixes, left = tuple(suffix.lower() for suffix in settings.suffixes), []
    for path in found.files():
        if path.lower().endswith(suffixes):
            found.add(path, {"path": path}, score=None, video_id=path, pattern=settings.content)
        else:
            left.append(path)
    if left:
        print(f"prepare: {found.folder}: {left_out(left)}; see prepare.options.folder.suffixes", file=sys.stderr)


scales, collect, survey = brought(NAME, lambda _: SCALE, DOWNLOAD, _find)
