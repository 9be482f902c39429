"""What ``dvc exp show --json`` says of the experiments of one commit, as plain values."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError, nearest

EVERY = "all"
"""Stands for every experiment of a commit; any other name for those that are called so, or so with ``-`` and more."""
_STATES = {
    "failed": "it failed; dvc queue logs {name} says why",
    "queued": "it waits in the queue; dvc queue start runs it",
    "running": "it still runs",
}

Parameters = dict[str, Any]
"""Dotted name of a parameter → its value, every number a float."""


class StudyError(PipelineError):
    """There are no such experiments, or no such metric or parameter."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment: its setting and its value, or why it has none.

    Attributes:
        name: as DVC calls it.
        time: when it was finished or queued.
        setting: its parameters without seeds and ``runtime``.
        seeds: its seeds.
        value: of the metric; NaN where there is none.
        problem: why it does not count; empty where it does.
        files: dependency or output → its digest in DVC.
    """

    name: str
    time: str
    setting: Parameters
    seeds: Parameters
    value: float
    problem: str
    files: dict[str, str]

    @property
    def group(self) -> str:
        """Equal for experiments that differ in nothing but their seeds."""
        return json.dumps(self.setting, sort_keys=True)

    @property
    def draw(self) -> str:
        """Equal for experiments with the same seeds."""
        return json.dumps(self.seeds, sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit with its experiments.

    Attributes:
        revision: its hash.
        parameters: of its ``params.yaml``.
        experiments: in DVC's order.
        here: dependency or output → its digest in the working folder.
    """

    revision: str
    parameters: Parameters
    experiments: list[Experiment]
    here: dict[str, str]


def shown_experiments(root: Path, revision: str = "HEAD") -> list[dict[str, Any]]:
    """What DVC shows of the working folder and of a commit.

    Raises:
        StudyError: DVC cannot; standard error has its reason.
    """
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json", "--rev", revision]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StudyError(f"dvc exp show failed for {revision!r}; run in a TeachOnce project, with one of its commits")
    shown: list[dict[str, Any]] = json.loads(done.stdout)
    return shown


def read_commit(shown: Sequence[Mapping[str, Any]], name: str, metric: str) -> Commit:
    """Reads the experiments that belong to a study.

    Args:
        shown: as `shown_experiments` returns it: the working folder, then the commit.
        name: `EVERY`, or the beginning of the experiments' names.
        metric: a key of a declared metrics file, dotted where nested; with ``file:`` before it where several have it.

    Raises:
        StudyError: there is no such experiment.
    """
    workspace, commit = shown[0], shown[-1]
    entries = [entry for entry in commit["experiments"] or [] if name == EVERY or _is_of(entry, name)]
    if not entries:
        names = [str(entry["name"]) for entry in commit["experiments"] or []]
        raise StudyError(
            f"commit {commit['rev'][:7]} has no experiment of {name!r}; it has {', '.join(names) or 'none'}; "
            f"dvc exp run --queue --name {name} -S … adds some, --rev reads those of another commit"
        )
    return Commit(
        revision=commit["rev"],
        parameters=_parameters(commit),
        experiments=_older_named([_experiment(entry, metric) for entry in entries]),
        here=_files(workspace),
    )


def _is_of(entry: Mapping[str, Any], name: str) -> bool:
    return entry["name"] == name or str(entry["name"]).startswith(f"{name}-")


def _experiment(entry: Mapping[str, Any], metric: str) -> Experiment:
    state = entry["revs"][0]
    name, parameters = entry["name"] or state["rev"][:7], _parameters(state)
    seeds = {key: value for key, value in parameters.items() if key.rpartition(".")[2] == "seed"}
    value, problem = _value(state, metric)
    status = (entry["executor"] or {}).get("state", "success")
    if status in _STATES:  # DVC shows a failed one with the metrics of its commit
        problem = _STATES[status].format(name=name)
    elif state["error"]:
        problem = str(state["error"]["msg"])
    return Experiment(
        name=name,
        time=str((state["data"] or {}).get("timestamp")),
        setting={key: value for key, value in parameters.items() if key not in seeds},
        seeds=seeds,
        value=value,
        problem=problem,
        files=_files(state),
    )


def _value(state: Mapping[str, Any], metric: str) -> tuple[float, str]:
    """The metric's value, or NaN and why there is none."""
    inside = _contents(state, "metrics")
    known = {f"{file}:{key}": each for file, values in inside.items() for key, each in dotted(values).items()}
    found = {key: each for key, each in known.items() if metric in (key, key.partition(":")[2])}
    if len(found) > 1:
        return math.nan, f"several files have {metric!r}: {', '.join(found)}; say which"
    value = next(iter(found.values()), None)
    if not isinstance(value, float):
        return (
            math.nan,
            f"it has no number {metric!r}; it has {', '.join(known) or 'no metric'}{nearest(metric, known)}",
        )
    return value, ""


def _older_named(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Of experiments with the same setting and seeds only the newest counts."""
    newest: dict[tuple[str, str], Experiment] = {}
    for experiment in sorted(experiments, key=lambda each: each.time):
        if not experiment.problem:
            newest[experiment.group, experiment.draw] = experiment
    return [
        experiment
        if experiment.problem or (last := newest[experiment.group, experiment.draw]) is experiment
        else replace(experiment, problem=f"{last.name} has the same setting and seeds and is newer")
        for experiment in experiments
    ]


def _parameters(state: Mapping[str, Any]) -> Parameters:
    """All but ``runtime``, which changes no result."""
    every = {key: value for values in _contents(state, "params").values() for key, value in dotted(values).items()}
    return {key: value for key, value in every.items() if not key.startswith("runtime.")}


def _contents(state: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    """Of each file of parameters or metrics what is in it; nothing of one that is not there or is damaged."""
    files = (state["data"] or {}).get(kind) or {}
    return {file: inside.get("data") or {} for file, inside in files.items()}


def _files(state: Mapping[str, Any]) -> dict[str, str]:
    data = state["data"] or {}
    return {path: each["hash"] for path, each in {**(data.get("deps") or {}), **(data.get("outs") or {})}.items()}


def dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values by dotted names, every number a float."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": each for name, each in dotted(value).items()}
        else:
            flat[key] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return flat
