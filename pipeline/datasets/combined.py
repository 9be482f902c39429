"""Several data sets as one: ``options: {combined: {parts: {bvi_hd: {}, waterloo_ivc_4k: {}}}}``.

Each part keeps its own scale, and its scores are mapped by it: 0 is the scale's low end, 1 its high end, in every part.
``video_id`` and content are prefixed with the part's name. A part is called as its data set; to take one data set
twice, or to choose a name, say which it is with the key ``dataset``: ``mine: {dataset: csv, folder: raw/mine, …}``.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import Field

from pipeline import registry
from pipeline.datasets import Entry, Progress
from pipeline.datasets._tables import DatasetError, raise_all
from pipeline.manifest import ScoreScale
from pipeline.params import Section

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
        DatasetError: with every problem of every part that is not there.
    """
    parts = _parts(settings)
    entries: list[Entry] = []
    problems: list[str] = []
    for name, module, options in parts:
        try:
            found: list[Entry] = module.collect(options, data_root, workers, progress if len(parts) == 1 else None)
        except DatasetError as error:
            problems.append(f"{name}: {error}")
            continue
        entries += [
            replace(entry, video_id=f"{name}/{entry.video_id}", content=f"{name}/{entry.content}", dataset=name)
            for entry in found
        ]
    raise_all(problems)
    return sorted(entries, key=lambda entry: entry.video_id)


def _parts(settings: Settings) -> list[tuple[str, ModuleType, Any]]:
    parts = []
    for name, values in settings.parts.items():
        dataset = values.get("dataset", name)
        where = f"prepare.options.combined.parts.{name}"
        if dataset == NAME or not isinstance(dataset, str):
            raise DatasetError(f"{where}.dataset: got {dataset!r}; a part is one data set, name each of them as a part")
        if "/" in name or not name:
            raise DatasetError(f"{where}: a part's name begins its videos' names; give it one without '/'")
        module = registry.find("datasets", dataset)
        options = module.Settings.parse({key: value for key, value in values.items() if key != "dataset"}, where)
        parts.append((name, module, options))
    return parts


def _only(name: str, found: dict[str, ScoreScale]) -> ScoreScale:
    if len(found) != 1:
        raise DatasetError(f"the part {name} has {len(found)} scales; expected one")
    return next(iter(found.values()))
