"""Going on with an output of ``teachonce score`` that was left unfinished."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.commands.shared.names import written
from pipeline.core.errors import PipelineError
from pipeline.core.files import replacing

COLUMNS = [
    "path",
    "status",
    "score",
    "low",
    "high",
    "mean",
    "harmonic_mean",
    "percentile_5",
    "out_of_domain",
    "domain_distance",
    "score_name",
    "scale_low",
    "scale_high",
    "width",
    "height",
    "fps",
    "num_frames",
    "seconds",
    "decoder",
    "notes",
    "sha256",
    "model",
    "dataset",
    "views",
    "segment_seconds",
    "window_seconds",
    "error",
]
_SETTINGS = ("model", "dataset", "views", "segment_seconds", "window_seconds")


class ResumeError(PipelineError):
    """An output that cannot be written or gone on with."""


def take_up(output: Path, form: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Reads what an unfinished output has, and leaves in it the complete rows of scored videos.

    Args:
        output: of the earlier run; need not exist.
        form: ``csv`` or ``jsonl``.
        settings: of this run; the earlier ones must be the same.

    Returns:
        Absolute path of each scored video, as `written` → SHA-256 of its file.

    Raises:
        ResumeError: it is no such output, or was made with another model or other options.
    """
    if not output.exists():
        return {}
    text = output.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines(keepends=True)
    whole, done = [], {}
    for number, (line, values) in enumerate(_rows(output, form, lines), start=1):
        if values is None:
            whole.append(line)
            continue
        differing = [key for key in _SETTINGS if str(values.get(key)) != settings[key]]
        if differing:
            key = differing[0]
            raise ResumeError(
                f"{output}, row {number}: made with {key} {values.get(key)}, not {settings[key]}; write to another file"
            )
        if values.get("status") == "ok":
            whole.append(line)
            done[written(Path(values["path"]).absolute())] = values["sha256"]
    if "".join(whole) != text:
        with replacing(output) as fresh:
            fresh.write_text("".join(whole), encoding="utf-8")
    return done


def _rows(output: Path, form: str, lines: list[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each line with its values; a header has none."""
    if form == "jsonl":
        for line in lines:
            try:
                yield line, json.loads(line)
            except ValueError:
                raise ResumeError(f"{output} is not JSON lines: {line[:60]!r}; write to another file") from None
        return
    for index, line in enumerate(lines):
        values = next(csv.reader([line]), [])
        if index == 0:
            if values != COLUMNS:
                raise ResumeError(f"{output} does not begin with the columns of scores; write to another file")
            yield line, None
        else:
            if len(values) != len(COLUMNS):
                found = f"got {len(values)} columns, expected {len(COLUMNS)}"
                raise ResumeError(f"{output}, row {index + 1}: {found}; write to another file")
            yield line, dict(zip(COLUMNS, values, strict=True))
