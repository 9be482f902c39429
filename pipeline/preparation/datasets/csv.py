"""Any table with named columns: your own videos and scores.

The setting ``columns`` says which column holds what; what has no column is empty. A raw video's size, rate and pixel
format may stand in the table too.
"""

from typing import cast, get_args

from pipeline.core.errors import nearest
from pipeline.core.manifest import Split
from pipeline.core.settings import Section
from pipeline.preparation.datasets.shared.brought import Brought, brought, tell
from pipeline.preparation.datasets.shared.entry import RawFormat
from pipeline.preparation.datasets.shared.settings import ScoredSettings
from pipeline.preparation.datasets.shared.tables import Row, read_table

NAME = "csv"
DOWNLOAD = tell(
    NAME, "Expected: a table, labels.csv (or what prepare.options.csv.labels names), and the videos that it names."
)


class Columns(Section):
    """The table's column for each thing; null where it has none."""

    video_id: str | None = None
    """Null takes the file's name without its suffix."""
    mos: str | None = "mos"
    content: str | None = None
    codec: str | None = None
    level: str | None = None
    split: str | None = None
    """``train``, ``val``, ``test``, or empty where ``prepare`` decides."""
    num_frames: str | None = None
    """Checked against the file."""
    width: str | None = None
    """Of raw video, in px, as height, fps and pix_fmt."""
    height: str | None = None
    fps: str | None = None
    pix_fmt: str | None = None


class Settings(ScoredSettings):
    """Which table, which columns, and the scale of the scores; the paths' fields are the table's columns."""

    labels: str = "labels.csv"
    columns: Columns = Columns()


def _find(found: Brought, settings: Settings) -> None:
    """Finds every video of the table."""
    columns = settings.columns.model_dump()
    path = found.table(settings.labels)
    table = read_table(path, {name: name for name in columns.values() if name})
    found.tables.append(f"{path.name}: {len(table.rows)} rows; {table.found}")
    for row in table.rows:
        values = {key: row[name] if name else "" for key, name in columns.items()}
        found.add(
            row.where,
            row,
            score=values["mos"] if settings.columns.mos else None,
            content=values["content"],
            pattern=settings.content,
            video_id=values["video_id"],
            codec=values["codec"],
            level=values["level"],
            split=_split(found, row, values["split"]),
            raw=RawFormat(
                width=found.values.count(row.where, "width", values["width"]),
                height=found.values.count(row.where, "height", values["height"]),
                fps=found.values.number(row.where, "fps", values["fps"]),
                pix_fmt=values["pix_fmt"] or None,
            ),
            num_frames=found.values.count(row.where, "num_frames", values["num_frames"]),
        )


scales, collect, survey = brought(NAME, lambda settings: settings.scale, DOWNLOAD, _find, paths=["{path}"])


def _split(found: Brought, row: Row, text: str) -> Split | None:
    known = get_args(Split)
    if text and text not in known:
        found.problem(f"{row.where}: got the split {text!r}; expected {', '.join(known)}{nearest(text, known)}")
        return None
    return cast(Split, text) if text else None
