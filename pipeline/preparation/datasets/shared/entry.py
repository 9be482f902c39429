"""What a data set says of each of its videos, and the error that lists all that is wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.core.errors import PipelineError
from pipeline.core.manifest import Split

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` while a data set is made."""


@dataclass(frozen=True, kw_only=True)
class RawFormat:
    """What a headerless ``.yuv`` file does not say of itself; None leaves it to the file's name.

    Attributes:
        width: in px.
        height: in px.
        fps: frames per second.
        pix_fmt: ``yuv420p`` or ``yuv420p10le``.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    pix_fmt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One video of a data set, before it is hashed and split.

    Attributes:
        video_id: unique within the data set.
        path: relative to the data root, with ``/``.
        mos: the score on the data set's scale, higher is better; None where there is none.
        content: the source content.
        codec: such as ``h264``, or the kind of distortion; empty where unknown.
        level: the distortion level as text, such as a CRF; empty where unknown.
        split: as the publisher fixed it; None leaves it to ``prepare``. Where a data set fixes its test videos,
            ``prepare`` divides the others between training and validation only.
        dataset: the data set's name.
        raw: of a headerless file.
        num_frames: that the publisher claims, to be checked; None where he claims none.
        where: the table and row that name it, for messages; empty where there is no table.
        scores: further scores by name, each on its own scale, higher is better; None where unknown.
    """

    video_id: str
    path: str
    mos: float | None
    content: str
    codec: str
    level: str
    split: Split | None
    dataset: str
    raw: RawFormat | None = None
    num_frames: int | None = None
    where: str = ""
    scores: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """How a message calls it: by its table's row, where there is one, and by its name."""
        return ": ".join(dict.fromkeys(text for text in (self.where, self.video_id) if text))


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What lies in a data set's folder, found without opening a video.

    Attributes:
        tables: each label file, how it is written, and how many rows it has.
        rows: videos that the label files name.
        present: those that are there.
        missing: the path of each that is not.
        problems: everything else that is wrong.
        advice: what to download.
        needs_all: whether a missing video is wrong.
    """

    tables: list[str]
    rows: int
    present: int
    missing: list[str]
    problems: list[str]
    advice: str
    needs_all: bool

    @property
    def is_wrong(self) -> bool:
        """Whether ``prepare`` would refuse."""
        return bool(self.problems) or not self.present or (self.needs_all and bool(self.missing))


class DatasetError(PipelineError):
    """A data set is not there, or its files do not fit together.

    Args:
        problems: a line each.
        entries: the videos that were found nevertheless. ``prepare`` looks at their files before it gives up, so that
            one run tells all that is wrong.
        advice: the last line, such as what to download.
    """

    def __init__(self, *problems: str, entries: Sequence[Entry] = (), advice: str = "") -> None:
        super().__init__("\n".join([*problems, *([advice] if advice else [])]))
        self.problems, self.entries, self.advice = problems, entries, advice
