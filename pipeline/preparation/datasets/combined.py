"""Several data sets as one: ``options: {combined: {parts: {bvi_hd: {}, waterloo_ivc_4k: {}}}}``.

Each part keeps its own scale, and its scores are mapped by it: 0 is the scale's low end, 1 its high end, in every part.
``video_id``, content and the names of further scores are prefixed with the part's name. A part is called as its data
set; to take one data set twice, or to choose a name, say which it is with the key ``dataset``:
``mine: {dataset: csv, folder: raw/mine, …}``.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import Field

from pipeline.core import registry
from pipeline.core.manifest import ScoreScale
from pipeline.core.settings import Section
from pipeline.preparation.datasets.shared.entry import DatasetError, Entry, Progress
from pipeline.preparation.datasets.shared.settings import BroughtSettings

NAME = "combined"


class Settings(Section):
    """The parts."""

    parts: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    """Name of the part → its data set's settings, and ``dataset`` where the name is not the data set's."""


def scales(settings: Settings) -> dict[str, ScoreScale]:
    """The scale of each part's scores, by the part's name."""
    return {name: _only(name, module.scales(options)) for name, module, options in _parts(settings)}


def collect(settings: Settings, data_root: Path, workers: int, progress: Progress | None = None) -> list[Entry]:
    """Collects every part.

    Raises:
        DatasetError: with every problem of every part, and the videos that were found nevertheless.
    """
    parts = _parts(settings)
    entries: list[Entry] = []
    problems: list[str] = []
    advice: list[str] = []
    for name, module, options in parts:
        try:
            found: Sequence[Entry] = module.collect(options, data_root, workers, progress if len(parts) == 1 else None)
        except DatasetError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
            advice += [error.advice] if error.advice else []
            found = error.entries
        entries += [
            replace(
                entry,
                video_id=f"{name}/{entry.video_id}",
                content=f"{name}/{entry.content}",
                dataset=name,
                scores={f"{name}/{score}": value for score, value in entry.scores.items()},
            )
            for entry in found
        ]
    entries.sort(key=lambda entry: entry.video_id)
    if problems:
        raise DatasetError(*problems, entries=entries, advice="\n".join(advice))
    return entries


def _parts(settings: Settings) -> list[tuple[str, ModuleType, Any]]:
    parts: list[tuple[str, ModuleType, Any]] = []
    for name, values in settings.parts.items():
        dataset = values.get("dataset", name)
        where = f"prepare.options.combined.parts.{name}"
        if dataset == NAME or not isinstance(dataset, str):
            raise DatasetError(f"{where}.dataset: got {dataset!r}; a part is one data set, name each of them as a part")
        if "/" in name or not name:
            raise DatasetError(f"{where}: a part's name begins its videos' names; give it one without '/'")
        try:
            module = registry.find("preparation.datasets", dataset)
        except registry.UnknownName as error:
            raise DatasetError(f"{where}: {error} or say which it is, such as `dataset: csv`") from None
        if module in [taken for _, taken, _ in parts] and not issubclass(module.Settings, BroughtSettings):
            raise DatasetError(f"{where}: two parts of {dataset} would make videos in one folder; make it one part")
        options = module.Settings.parse({key: value for key, value in values.items() if key != "dataset"}, where)
        parts.append((name, module, options))
    return parts


def _only(name: str, found: dict[str, ScoreScale]) -> ScoreScale:
    if len(found) != 1:
        raise DatasetError(f"the part {name} has {len(found)} scales; expected one")
    return next(iter(found.values()))
