"""What the adapters state of their data sets, for a terminal and for ``docs/datasets.md``."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.core import registry
from pipeline.core.manifest import ScoreScale
from pipeline.core.settings import SettingsError
from pipeline.preparation.datasets.shared.entry import Survey
from pipeline.preparation.datasets.shared.facts import Facts

ROOM = "preparation.datasets"
_HEADER = ("Data set", "`prepare.dataset`", "Holds", "Score", "Further scores", "Official split", "Licence", "Request")
_READ = "Read from the publisher's own label file"


def modules() -> dict[str, ModuleType]:
    """Every data set's module, by name."""
    return {name: registry.find(ROOM, name) for name in registry.names(ROOM)}


def published() -> dict[str, ModuleType]:
    """Those of published data sets."""
    return {name: module for name, module in modules().items() if hasattr(module, "FACTS")}


def as_json() -> list[dict[str, Any]]:
    """The facts of every published data set."""
    return [{"name": name, **asdict(module.FACTS)} for name, module in published().items()]


def listed() -> list[str]:
    """A line for every data set."""
    lines = []
    for name, module in modules().items():
        facts: Facts | None = getattr(module, "FACTS", None)
        if facts is None:
            lines.append(f"{name:<16} {_first_line(module)}")
            continue
        request = {"yes": "ask", "no": "open", "unknown": "?"}[facts.request]
        lines.append(f"{name:<16} {facts.videos:>6} {facts.kind:<6} {request:<5} {facts.title}; {facts.licence}")
    return lines


def shown(name: str) -> list[str]:
    """What to download for a data set, and all that is known of it.

    Raises:
        UnknownName: there is none of this name.
    """
    module = registry.find(ROOM, name)
    facts: Facts | None = getattr(module, "FACTS", None)
    if facts is None:
        text = inspect.getdoc(module) or ""
        return [text, *([module.DOWNLOAD] if hasattr(module, "DOWNLOAD") else [])]
    scores = [f"  {score}: {_range(scale)}" for score, scale in facts.scores.items()]
    return [
        inspect.getdoc(module) or "",
        "",
        f"Holds: {facts.videos} {facts.kind}; {facts.contents}",
        f"Where: {facts.home}",
        f"Request: {facts.request}. Licence: {facts.licence}",
        f"Official split: {facts.split or 'none'}",
        f"Paper: {facts.paper}",
        f"Read from the publisher's own label file: {facts.read} ({facts.checked})",
        "Scores (prepare.options." + name + ".score; the first is the default):",
        *scores,
        "",
        facts.asked_for(name),
    ]


def survey(name: str, data_root: Path) -> Survey:
    """Which files of a data set are there, under the options that ``params.yaml`` has for it.

    Raises:
        UnknownName: there is no data set of this name, or it makes its videos.
        SettingsError: ``params.yaml`` cannot be read, or its options are wrong.
        DatasetError: there is no label file that can be read.
    """
    module = registry.find(ROOM, name)
    if not hasattr(module, "survey"):
        raise registry.UnknownName(f"{name} makes its videos, or joins other data sets; check each of these")
    found: Survey = module.survey(module.Settings.parse(_options(name), f"prepare.options.{name}"), data_root)
    return found


def _options(name: str) -> Mapping[str, Any]:
    """A data set's options in ``params.yaml``; none where there is no such file."""
    try:
        params = YAML(typ="safe").load(Path("params.yaml"))
        return dict(params["prepare"]["options"].get(name) or {})
    except FileNotFoundError:
        return {}
    except (YAMLError, MarkedYAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise SettingsError(f"cannot read prepare.options.{name} in params.yaml: {error}") from None


def markdown() -> str:
    """The tables of ``docs/datasets.md``."""
    sets = published()
    lines = [_row((*_HEADER, _READ)), _row(["---"] * (len(_HEADER) + 1))]
    for name, module in sets.items():
        facts: Facts = module.FACTS
        first, *others = facts.scores.items()
        title = f"[{facts.title}]({facts.paper})" if facts.paper.startswith("http") else facts.title
        further = str(len(others)) if others else "–"
        cells = [
            title,
            f"`{name}`",
            f"{facts.videos} {facts.kind}",
            _range(first[1]),
            further,
            "yes" if facts.split else "no",
        ]
        lines.append(_row([*cells, facts.licence, facts.request, facts.read]))
    lines += ["", "## One by one", ""]
    for name, module in sets.items():
        lines += _details(name, module.FACTS)
    return "\n".join(lines)


def _details(name: str, facts: Facts) -> list[str]:
    tree = [f"    {line}" for line in facts.tree.splitlines()]
    note = [f"- {facts.note}"] if facts.note else []
    return [
        f"### {facts.title} (`{name}`)",
        "",
        f"- Where: {facts.home}",
        f"- Contents: {facts.contents}",
        f"- Scores: {', '.join(f'`{score}` ({_range(scale)})' for score, scale in facts.scores.items())}",
        f"- Official split: {facts.split or 'none'}",
        f"- Paper: {facts.paper}",
        f"- Label file: {facts.read}: {facts.checked}",
        *note,
        f"- Layout of `data/raw/{name}/`:",
        "",
        *tree,
        "",
    ]


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _range(scale: ScoreScale) -> str:
    better = "" if scale.published_direction == "higher_is_better" else ", lower is better"
    return f"{scale.score_name} {scale.low:g} to {scale.high:g}{better}"


def _first_line(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n")[0].rstrip(",")
