"""The two tables of a data set version: ``videos.csv`` (identity, geometry) and ``labels.csv`` (all about scores).

Render and extract depend on the first only, so a relabelling re-runs neither. Both are UTF-8 CSV with a header, empty
where unknown, rows ordered by ``video_id``. Paths are relative to the data root and may not leave it. Data sets with
several scores have those that do not train in further columns of ``labels.csv``, at its end.
"""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, Field, FiniteFloat, PositiveInt, TypeAdapter, ValidationError

from cache.store.scratch import dvc_project
from pipeline.core.errors import PipelineError, explained
from pipeline.core.files import write_json, write_rows

Split = Literal["train", "val", "test"]
DATA_ROOT = Path("data")
CLIP_DIGEST = "clip_digest"
"""Text column of the target store: the SHA-256 of the pixels that the teacher saw, row by row."""
_MAX_FIELD_CHARS = 1 << 16
_Numbers = TypeVar("_Numbers", float, NDArray[np.float64])


class ManifestError(PipelineError):
    """A table is missing, malformed, or contradicts itself or another."""


def _flag(text: object) -> bool:
    """A cell of 0 or 1; pydantic's own conversion would take ``yes`` and ``off`` too."""
    if text not in ("0", "1"):
        raise ValueError("expected 0 or 1")
    return text == "1"


Flag = Annotated[bool, BeforeValidator(_flag)]


@dataclass(frozen=True, kw_only=True)
class Video:
    """A row of ``videos.csv``.

    Attributes:
        video_id: unique name.
        path: relative to the data root, with ``/``.
        sha256: of the file's bytes, 64 hexadecimal digits.
        dataset: the data set it came with.
        width: of a frame as shown, in px.
        height: of a frame as shown, in px.
        fps: frames per second; None where unknown.
        num_frames: counted by demuxing or decoding, never taken from a header; None where unknown.
        pix_fmt: FFmpeg's name, such as ``yuv420p``.
    """

    video_id: Annotated[str, Field(min_length=1)]
    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    dataset: str
    width: PositiveInt | None
    height: PositiveInt | None
    fps: Annotated[FiniteFloat, Field(gt=0)] | None
    num_frames: PositiveInt | None
    pix_fmt: str


@dataclass(frozen=True, kw_only=True)
class Label:
    """A row of ``labels.csv``.

    Attributes:
        video_id: as in ``videos.csv``.
        mos: the score on the data set's scale, higher is better; None where there is none.
        content: the source content; contents are never divided between splits.
        codec: such as ``h264``; empty where unknown.
        level: the distortion level as the publisher writes it, such as a CRF; empty where unknown.
        split: ``train``, ``val`` or ``test``.
        labelled: whether training may use ``mos``.
        scores: further scores by name, each on its own scale, higher is better; None where unknown.
    """

    video_id: Annotated[str, Field(min_length=1)]
    mos: FiniteFloat | None
    content: str
    codec: str
    level: str
    split: Split
    labelled: Flag
    scores: Mapping[str, float | None] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class ScoreScale:
    """The scale on which a data set's MOS are given, after any turning round so that higher is better.

    A DMOS, of which lower is better, is turned within its own range: ``mos = low + high - dmos``. So nothing is lost:
    where ``published_direction`` is ``lower_is_better``, the published score of a video is ``low + high - mos`` again.

    Attributes:
        score_name: as the publisher calls it.
        low: the worst score that can be given.
        high: the best.
        published_direction: of the publisher's own numbers.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    score_name: str
    low: FiniteFloat
    high: FiniteFloat
    published_direction: Literal["higher_is_better", "lower_is_better"] = "higher_is_better"

    @property
    def length(self) -> float:
        """From the worst score to the best."""
        return self.high - self.low

    def to_unit(self, mos: _Numbers) -> _Numbers:
        """Scores mapped linearly so that the scale's ends are 0 and 1."""
        return (mos - self.low) / self.length

    def from_unit(self, values: _Numbers) -> _Numbers:
        """What `to_unit` undoes."""
        return self.low + values * self.length

    def turned(self, score: float) -> float:
        """A published score as MOS, higher is better; and a MOS as it was published, for it is its own inverse."""
        return score if self.published_direction == "higher_is_better" else round(self.low + self.high - score, 9)


_Row = TypeVar("_Row", Video, Label)
_VIDEOS, _LABELS, _SCALES = TypeAdapter(list[Video]), TypeAdapter(list[Label]), TypeAdapter(dict[str, ScoreScale])


def write_videos(path: Path, videos: Iterable[Video]) -> None:
    """Writes ``videos.csv``, ordered by ``video_id``."""
    _write(path, Video, videos)


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Writes ``labels.csv``, ordered by ``video_id``."""
    _write(path, Label, labels)


def read_videos(path: Path) -> list[Video]:
    """Reads ``videos.csv``.

    Raises:
        ManifestError: lists every malformed row with its line number.
    """
    return _read(path, Video, _VIDEOS)


def read_labels(path: Path) -> list[Label]:
    """Reads ``labels.csv``.

    Raises:
        ManifestError: lists every malformed row with its line number, and every content that stands in two splits.
    """
    labels = _read(path, Label, _LABELS)
    _raise_all(content_leaks(labels))
    return labels


def content_leaks(labels: Sequence[Label], shown: Mapping[str, str] | None = None) -> list[str]:
    """Names each content that stands in more than one split, and a video of it in each; an empty list is good.

    Args:
        labels: of all videos.
        shown: video_id → how a message names the video; its video_id when not given.
    """
    splits: dict[str, dict[str, str]] = {}
    for label in labels:
        name = (shown or {}).get(label.video_id, label.video_id)
        splits.setdefault(label.content, {}).setdefault(label.split, name)
    return [
        f"content {content!r} is in the splits "
        f"{' and '.join(f'{split} ({video})' for split, video in sorted(found.items()))}; a content may be in one only"
        for content, found in sorted(splits.items())
        if len(found) > 1
    ]


def labels_of(videos: Sequence[Video], labels: Sequence[Label]) -> list[Label]:
    """The labels in the order of ``videos``.

    Raises:
        ManifestError: the two tables do not hold the same videos.
    """
    by_id = {label.video_id: label for label in labels}
    known = {video.video_id for video in videos}
    problems = [f"video {name!r} has no row in labels.csv; run prepare again" for name in sorted(known - by_id.keys())]
    problems += [
        f"labels.csv has {name!r}, which videos.csv lacks; run prepare again" for name in sorted(by_id.keys() - known)
    ]
    _raise_all(problems)
    return [by_id[video.video_id] for video in videos]


def resolve(root: Path, relative: str) -> Path:
    """The file that a table's path names.

    Args:
        root: the data root.
        relative: the path as the table has it.

    Raises:
        ManifestError: the path is absolute, climbs out with ``..``, or leaves the root through a symbolic link to
            somewhere else than DVC's cache, which it links to with ``cache.type = symlink``.
    """
    if "\0" in relative:
        raise ManifestError(f"path {relative!r} contains a zero byte")
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ManifestError(f"path {relative!r} leaves the data root {root}; give a path inside it, without '..'")
    path = root / pure
    real_root, real = os.path.realpath(root), os.path.realpath(path)
    if not _is_inside(real, real_root) and not _is_inside(real, _dvc_cache(real_root)):
        raise ManifestError(
            f"path {relative!r} leaves the data root {root} through a symbolic link to {real}; copy it here, or "
            "`dvc add <there> --out <here>`"
        )
    return path


def _is_inside(path: str, folder: str) -> bool:
    return bool(folder) and os.path.commonpath([folder, path]) == folder


@cache
def _dvc_cache(root: str) -> str:
    """The folder that holds the files of the project's DVC cache; empty where there is no project."""
    project = dvc_project(root)
    if project is None:
        return ""
    from dvc.config import Config, ConfigError

    try:
        place = Config(dvc_dir=str(project / ".dvc"))["cache"].get("dir")
    except ConfigError as error:
        raise ManifestError(f"cannot read DVC's settings in {project / '.dvc'}: {error}") from None
    return os.path.realpath(Path(place or project / ".dvc/cache") / "files")


def write_scales(path: Path, scales: dict[str, ScoreScale]) -> None:
    """Writes ``dataset.json``: the scale of each data set's scores."""
    write_json(path, {name: asdict(scale) for name, scale in sorted(scales.items())})


def read_scales(path: Path) -> dict[str, ScoreScale]:
    """Reads ``dataset.json``.

    Raises:
        ManifestError: the file is missing or malformed.
    """
    try:
        return _SCALES.validate_json(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"cannot read {path}: {error.strerror}; run the stage prepare first") from None
    except ValidationError as error:
        problems = [f"{path}: {explained(problem)}; run prepare again" for problem in error.errors()]
        raise ManifestError("\n".join(problems)) from None


def _write(path: Path, row_type: type[_Row], rows: Iterable[_Row]) -> None:
    flags = [column.name for column in fields(row_type) if column.type is Flag]
    ordered = sorted(rows, key=lambda row: row.video_id)
    cells = [vars(row) | {name: int(getattr(row, name)) for name in flags} for row in ordered]
    scores = [row.pop("scores", {}) for row in cells]
    further: list[str] = sorted({name for found in scores for name in found})
    empty = dict.fromkeys(further)
    write_rows(
        path,
        [{**row, **empty, **found} for row, found in zip(cells, scores, strict=True)],
        [*_columns(row_type), *further],
    )


def _columns(row_type: type[_Row]) -> list[str]:
    return [column.name for column in fields(row_type) if column.name != "scores"]


def _read(path: Path, row_type: type[_Row], rows_of: TypeAdapter[list[_Row]]) -> list[_Row]:
    names = _columns(row_type)
    optional = {column.name for column in fields(row_type) if type(None) in get_args(column.type)}
    lines = _lines(path)
    header = lines[0] if lines else []
    further = header[len(names) :]
    if header[: len(names)] != names or len(set(header)) < len(header) or (further and row_type is not Label):
        raise ManifestError(f"{path}: got the header {header}; expected {','.join(names)}")
    odd = [(number, line) for number, line in enumerate(lines[1:], start=2) if len(line) != len(header)]
    _raise_all([f"{path}, row {number}: got {len(line)} columns; expected {len(header)}" for number, line in odd])
    values: list[dict[str, object]] = [
        {name: text if text or name not in optional else None for name, text in zip(names, line, strict=False)}
        for line in lines[1:]
    ]
    for row, line in zip(values, lines[1:] if further else [], strict=False):
        row["scores"] = {name: _score(text) for name, text in zip(further, line[len(names) :], strict=True)}
    try:
        rows = rows_of.validate_python(values)
    except ValidationError as error:
        _raise_all([f"{path}, row {int(problem['loc'][0]) + 2}: {explained(problem, 1)}" for problem in error.errors()])
        raise
    first: dict[str, int] = {}
    again = [
        (number, row.video_id) for number, row in enumerate(rows, 2) if first.setdefault(row.video_id, number) != number
    ]
    _raise_all([f"{path}, row {n}: video_id {name!r} stands already in row {first[name]}" for n, name in again])
    return sorted(rows, key=lambda row: row.video_id)


def _score(text: str) -> float | None:
    """A further column's number; None where it holds something else, which is not ours to judge."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _lines(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ManifestError(f"cannot read {path}: {error.strerror}; run the stage prepare first") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 text (byte {error.start})") from None
    csv.field_size_limit(_MAX_FIELD_CHARS)
    try:
        return list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ManifestError(f"{path} is not CSV: {error}") from None


def _raise_all(problems: list[str]) -> None:
    if problems:
        shown = problems[:50] + ([f"… and {len(problems) - 50} more"] if len(problems) > 50 else [])
        raise ManifestError("\n".join(shown))
