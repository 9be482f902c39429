"""Data sets, one file each: ``pipeline/datasets/<name>.py`` is what ``prepare.datasets.<name>`` selects.

Each file offers ``Settings`` (a section of ``params.yaml``), ``SCALE`` (a ``ScoreScale``) and
``collect(settings, data_root, workers, progress) -> list[Entry]``, which makes or finds the videos and says what is
known of each.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.manifest import Split

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` while a data set is made."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One video of a data set, before it is hashed and split.

    Attributes:
        video_id: unique within the data set.
        path: relative to the data root, with ``/``.
        mos: the score on the data set's ``SCALE``, higher is better; None where there is none.
        content: the source content.
        codec: such as ``h264``; empty where unknown.
        level: the distortion level as text, such as a CRF; empty where unknown.
        split: as the publisher fixed it; None leaves it to ``prepare``.
        dataset: the data set's name.
    """

    video_id: str
    path: str
    mos: float | None
    content: str
    codec: str
    level: str
    split: Split | None
    dataset: str
