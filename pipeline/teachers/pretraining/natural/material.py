"""Folders of photographs and clips: which files train, and which are held back for evaluation.

The rule is fixed and needs no list: the digest of a name decides. Where a table ``FOLDER.csv`` lies beside a folder
(columns ``file`` and ``source``), whole sources are held back too, since pictures of one source resemble each other.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline.core.errors import PipelineError
from pipeline.teachers.pretraining.natural.footage import Footage, FootageError, clips_of, prepare

_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_PHOTOGRAPHS, _PHOTOGRAPH_SOURCES, _CLIP_SOURCES = ("evaluation", 18), ("evaluation", 6), ("unseen", 4)
"""A word that begins what is hashed, and one in how many is held back. The words were chosen so that neither set of the
first material became tiny or large; they were not chosen by any result."""
_SMALLEST_SIDE_PX = 240


class MaterialError(PipelineError):
    """A folder does not hold what it should."""


@dataclass(frozen=True)
class Material:
    """Natural material of one kind of use: training or evaluation.

    Attributes:
        photographs: files.
        sizes: width and height of each.
        clips: prepared ones.
    """

    photographs: tuple[Path, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    clips: tuple[Footage, ...] = ()


def held_back(name: str, rule: tuple[str, int]) -> bool:
    """Whether a file or source is for evaluation alone: by the SHA-256 of a word and its name."""
    word, one_in = rule
    digest = hashlib.sha256(f"{word}: {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % one_in == 0


def photographs(folder: Path) -> tuple[Material, Material]:
    """The photographs of a folder: for training, and held back.

    Raises:
        MaterialError: the folder has no picture, or one that cannot be read or is too small.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES) if folder.is_dir() else []
    if not files:
        raise MaterialError(f"{folder} has no picture ({', '.join(_PICTURES)}); name a folder of photographs")
    source = sources(folder)
    parts: tuple[list[Path], list[Path]] = ([], [])
    for path in files:
        whole_source = path.name in source and held_back(source[path.name], _PHOTOGRAPH_SOURCES)
        parts[whole_source or held_back(path.name, _PHOTOGRAPHS)].append(path)
    training, evaluation = (Material(tuple(part), tuple(_size(path) for path in part)) for part in parts)
    return training, evaluation


def clips(folder: Path, store: Path) -> tuple[Material, Material, list[str]]:
    """The clips of a folder, prepared: for training, held back, and why others cannot be used.

    Args:
        folder: of videos.
        store: where they are stored scaled down.

    Raises:
        FootageError: the folder has no clip.
        MaterialError: none of them can be used.
    """
    source = sources(folder)
    parts: tuple[list[Footage], list[Footage]] = ([], [])
    refused = []
    for path in clips_of(folder):
        try:
            footage = prepare(path, store)
        except FootageError as error:
            refused.append(str(error))
            continue
        parts[held_back(source.get(path.name, path.name), _CLIP_SOURCES)].append(footage)
    if not any(parts):
        raise MaterialError(f"{folder}: no clip can be used; {refused[0]}")
    return Material(clips=tuple(parts[0])), Material(clips=tuple(parts[1])), refused


def natural_material(photos: Path | None, clips_folder: Path | None, store: Path) -> tuple[Material, Material] | None:
    """The natural material of a run: for training, and held back; None where no folder is named.

    Args:
        photos: folder of photographs.
        clips_folder: folder of clips.
        store: where clips are stored scaled down.
    """
    if photos is None and clips_folder is None:
        return None
    training, evaluation = photographs(photos) if photos else (Material(), Material())
    if clips_folder is not None:
        more, held, refused = clips(clips_folder, store)
        for reason in refused:
            print(f"not used: {reason}", flush=True)
        training, evaluation = joined(training, more), joined(evaluation, held)
    return training, evaluation


def joined(*parts: Material) -> Material:
    """Photographs and clips together."""
    return Material(
        photographs=tuple(path for part in parts for path in part.photographs),
        sizes=tuple(size for part in parts for size in part.sizes),
        clips=tuple(clip for part in parts for clip in part.clips),
    )


def sources(folder: Path) -> Mapping[str, str]:
    """The source of each file by the table beside the folder; empty where there is none."""
    return {name: row["source"] for name, row in _table(folder).items()}


def account(folder: Path, training: Material, evaluation: Material) -> list[str]:
    """Where the files of a folder come from: a Markdown table of sources with licences, and how many files served.

    Args:
        folder: of photographs or clips; a table beside it has the columns ``file``, ``source`` and ``licence``.
        training: what trained; may hold files of other folders.
        evaluation: what was held back.
    """
    table, rows = _table(folder), Counter[tuple[str, str, int]]()
    for part, material in enumerate((training, evaluation)):
        names = [clip.name for clip in material.clips] + [path.name for path in material.photographs]
        for name in names:
            if (folder / name).exists():
                row = table.get(name, {})
                rows[row.get("source", "not stated"), row.get("licence", "not stated"), part] += 1
    lines = [f"| source of {folder.name} | licence | trained | held back |", "|---|---|---|---|"]
    for source, licence in sorted({key[:2] for key in rows}):
        lines.append(f"| {source} | {licence} | {rows[source, licence, 0]} | {rows[source, licence, 1]} |")
    return lines


def rules() -> str:
    """What is held back, in words."""
    (word, photograph), (_, source), (clip_word, clip) = _PHOTOGRAPHS, _PHOTOGRAPH_SOURCES, _CLIP_SOURCES
    return (
        f"a file or source is held back where the first eight bytes of the SHA-256 of a word and its name are a "
        f"multiple of n: photographs `{word}: FILE`, n = {photograph}; whole sources of photographs "
        f"`{word}: SOURCE`, n = {source}; whole sources of clips `{clip_word}: SOURCE`, n = {clip}"
    )


def _table(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of the table beside a folder by file name; none where there is no table."""
    table = folder.with_name(folder.name + ".csv")
    if not table.exists():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as picture:
            size = picture.size
    except OSError as error:
        raise MaterialError(f"{path}: not a picture ({error}); remove it from the folder") from error
    if min(size) < _SMALLEST_SIDE_PX:
        raise MaterialError(f"{path}: got {size[0]} x {size[1]} px; expected sides of at least {_SMALLEST_SIDE_PX} px")
    return size
