"""What is known of a published data set before it is on the disk; each adapter states its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.manifest import ScoreScale

LIVE_NOTICE = "LIVE notice"
"""Of the University of Texas at Austin: any purpose, with attribution; it says nothing of rights in the pictures."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A published data set.

    Attributes:
        title: as its publisher calls it.
        videos: how many have a score.
        scores: name → scale; the first is the overall one, which trains by default.
        kind: ``images`` are read as videos of one frame, and need ``render.short: repeat``.
        contents: what is shown, and what belongs together.
        home: where it is had.
        licence: as its owner states it; ``unknown`` where nobody looked, ``not stated`` where none is given.
        request: whether it must be asked for.
        tree: the files that its folder must have, a line each.
        split: the official one, and how it is used; empty where there is none.
        paper: a link.
        read: whether the adapter was run on the publisher's own label file: on the whole, on an excerpt, or on none.
        checked: which label file that was, and what of it was read.
        note: what a user should know, such as videos that are no longer to be had.
    """

    title: str
    videos: int
    scores: Mapping[str, ScoreScale]
    kind: Literal["videos", "images"] = "videos"
    contents: str
    home: str
    licence: str = "unknown"
    request: Literal["yes", "no", "unknown"] = "unknown"
    tree: str
    split: str = ""
    paper: str = "unknown"
    read: Literal["yes", "excerpt", "no"]
    checked: str = ""
    note: str = ""

    def asked_for(self, name: str) -> str:
        """What to download and where it goes: the text for a data set that is not there.

        Args:
            name: of the data set in ``params.yaml``.
        """
        request = {"yes": " (it must be asked for)", "no": "", "unknown": ""}[self.request]
        tree = "\n".join(f"  {line}" for line in self.tree.splitlines())
        note = f"{self.note}\n" if self.note else ""
        return (
            f"{self.title} is not fetched by TeachOnce. Get it from {self.home}{request} and lay it out as\n"
            f"data/raw/{name}/ (or set prepare.options.{name}.folder)\n{tree}\n{note}"
            f"Then run `dvc add data/raw/{name}`."
        )
