"""Rows of the two tables, for tests that care for a few of their columns."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.core.manifest import Label, Video
from pipeline.video.decoders.auto import probe


def video_row(name: str = "a", **changes: Any) -> Video:
    """A row of ``videos.csv``: the path and the digest are of the name, unless given."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    place: dict[str, Any] = {"video_id": name, "path": f"videos/{name}.mp4", "sha256": digest, "dataset": "x"}
    shape: dict[str, Any] = {"width": 320, "height": 180, "fps": 25.0, "num_frames": 32, "pix_fmt": "yuv420p"}
    return Video(**place | shape | changes)


def row_of(path: Path, root: Path, **changes: Any) -> Video:
    """The row of a video that is there, named after its file."""
    info = probe(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    row = video_row(path.stem, path=path.relative_to(root).as_posix(), sha256=digest)
    shape: dict[str, Any] = {name: getattr(info, name) for name in ("width", "height", "fps", "num_frames", "pix_fmt")}
    return replace(row, **shape | changes)


def label_row(name: str = "a", **changes: Any) -> Label:
    """A row of ``labels.csv``, of a training video with a content of its own."""
    row = Label(video_id=name, mos=50.0, content=name, codec="h264", level="30", split="train", labelled=True)
    return replace(row, **changes)
