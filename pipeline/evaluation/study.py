"""The experiments of one commit as one table: a row per setting, means over seeds, differences from a base.

Experiments that differ in nothing but their seeds are one row. A row's base is the row that has the same setting but
for the parameters that the base names, so one base serves a whole grid: with ``distill.losses.tokens=0.0`` each student
is compared with itself without tokens. Differences are between experiments of the same seeds.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.core.agreement import Interval, paired_difference
from pipeline.core.errors import nearest
from pipeline.core.files import file_digest, write_json, write_rows
from pipeline.evaluation.experiments import EVERY, Commit, Experiment, Parameters, StudyError, dotted, read_commit

METRIC = "results/evaluate/summary.json:student"
"""SRCC of the student on the test split."""
_UNPAIRED = "in the mean and in no difference: its base has no experiment of its seeds"
COLUMNS = ("group", "n", "mean", "low", "high", "difference", "difference_low", "difference_high")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table; bounds are of 95 % Student-t intervals over seeds, None with fewer than two.

    Attributes:
        group: what the setting changes of the commit's parameters, in words.
        changes: the same by dotted names.
        n: how many experiments.
        values: theirs, in the order of their seeds.
        mean: of the values.
        low: end of the mean's interval.
        high: the other end.
        difference: mean difference from the base; None where the row is a base, or none of its seeds is in its base.
        difference_low: end of the difference's interval.
        difference_high: the other end.
    """

    group: str
    changes: Parameters
    n: int
    values: list[float]
    mean: float
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None


@dataclass(frozen=True, kw_only=True)
class Study:
    """A table of experiments, and what it is a table of.

    Attributes:
        name: of the study.
        commit: that the experiments change.
        metric: its file and key.
        teacher_sha256: of the weights of ``models/teacher``; like the digests below it is None where the experiments do
            not all have what the working folder has.
        videos_sha256: of ``data/videos.csv``.
        labels_sha256: of ``data/labels.csv``.
        base: parameter → value; empty without a base.
        rows: of the table.
        left_out: ``experiment``, ``group`` and ``reason`` of each that is not in the mean, or not in the difference.
    """

    name: str
    commit: str
    metric: str
    teacher_sha256: str | None
    videos_sha256: str | None
    labels_sha256: str | None
    base: Parameters
    rows: list[Row]
    left_out: list[dict[str, str]]


def make_study(
    shown: Sequence[Mapping[str, Any]], root: Path, *, name: str = EVERY, metric: str = METRIC, base: Sequence[str] = ()
) -> Study:
    """Groups, pairs and compares experiments.

    Args:
        shown: the working folder and a commit, as `shown_experiments` returns them.
        root: the project, whose teacher and tables the digests are of.
        name: of the study; see `read_commit`.
        metric: see `read_commit`.
        base: ``parameter=value``, each parameter by its dotted name or by the last part of it.

    Raises:
        StudyError: no experiment counts, or no row has such a base.
    """
    commit = read_commit(shown, name, metric)
    in_words = naming(commit)
    counted = sorted(
        (each for each in commit.experiments if not each.problem), key=lambda each: (in_words(each.setting), each.draw)
    )
    left_out = [_named(each, in_words, each.problem) for each in commit.experiments if each.problem]
    if not counted:
        raise StudyError("\n".join(["no experiment counts:", *map(line_of, left_out)]))
    base_values = _parsed(base, counted[0].setting)
    groups: dict[str, list[Experiment]] = {}
    for experiment in counted:
        groups.setdefault(experiment.group, []).append(experiment)
    pairs = {key: _pairs(group, groups, base_values) for key, group in groups.items()}
    if base and not any(pairs.values()):
        raise StudyError(f"no experiment has one of the same seeds and setting but for {', '.join(base)}; queue some")
    paired = [one for group in pairs.values() for one, _ in group]
    unpaired = [each for each in counted if base and each not in paired and not _is_base(each, base_values)]
    return Study(
        name=name,
        commit=commit.revision,
        metric=metric,
        **_digests(root, commit.here, counted),
        base=base_values,
        rows=[_row(group, pairs[key], commit, in_words) for key, group in groups.items()],
        left_out=left_out + [_named(each, in_words, _UNPAIRED) for each in unpaired],
    )


def save(study: Study, folder: Path) -> Path:
    """Writes the table as ``<name>.csv`` and all of the study as ``<name>.json``; returns the first."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{study.name}.csv"
    write_rows(table, [{column: getattr(row, column) for column in COLUMNS} for row in study.rows])
    write_json(table.with_suffix(".json"), asdict(study))
    return table


def as_text(study: Study) -> str:
    """A study for people: its table, and what is not in it."""
    width = max(len("setting"), *(len(row.group) for row in study.rows))
    base = ", ".join(f"{key}={_worded(value)}" for key, value in study.base.items())
    lines = [f"{study.metric}, experiments of {study.commit[:7]}" + (f"; difference from {base}" if base else "")]
    lines.append(f"{'setting':{width}}   n  mean [95 %]{'':15}" + ("  difference [95 %]" if base else ""))
    for row in study.rows:
        mean = _bounded(row.mean, row.low, row.high, ".3f")
        apart = (
            "" if row.difference is None else _bounded(row.difference, row.difference_low, row.difference_high, "+.3f")
        )
        lines.append(f"{row.group:{width}}  {row.n:2}  {mean:26}  {apart}".rstrip())
    if study.left_out:
        lines += ["left out:", *map(line_of, study.left_out)]
    return "\n".join(lines)


def line_of(each: Mapping[str, str]) -> str:
    """A line of `Study.left_out`."""
    return f"  {each['experiment']} ({each['group']}): {each['reason']}"


def naming(commit: Commit) -> Callable[[Parameters], str]:
    """How settings are called: by the names in them, where these differ, and by what they change of the commit.

    A parameter is called by the last part of its name where no other of the study has that.
    """
    settings = [each.setting for each in commit.experiments]
    every = sorted({key for setting in settings for key in setting})
    differing = {key for key in every if len({json.dumps(setting.get(key)) for setting in settings}) > 1}
    shown = [key for key in every if key in differing or any(key in _changes(each, commit) for each in settings)]
    last = [key.rpartition(".")[2] for key in shown]
    short = {key: name if last.count(name) == 1 else key for key, name in zip(shown, last, strict=True)}

    def in_words(setting: Parameters) -> str:
        changed, names = _changes(setting, commit), [key for key in differing if isinstance(setting.get(key), str)]
        keys = sorted({*changed, *names}, key=lambda key: (key not in names, key))
        return " ".join(f"{short[key]}={_worded(setting[key])}" for key in keys) or "as committed"

    return in_words


def _changes(setting: Parameters, commit: Commit) -> Parameters:
    known = commit.parameters
    return {key: value for key, value in setting.items() if key not in known or known[key] != value}


def _worded(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _bounded(value: float, low: float | None, high: float | None, form: str) -> str:
    return f"{value:{form}}" if low is None or high is None else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _named(experiment: Experiment, in_words: Callable[[Parameters], str], reason: str) -> dict[str, str]:
    return {"experiment": experiment.name, "group": in_words(experiment.setting), "reason": reason}


def _parsed(base: Sequence[str], known: Parameters) -> Parameters:
    """``parameter=value`` as parameters; a name may be the last part of one's dotted name."""
    values: Parameters = {}
    for text in base:
        name, _, value = text.partition("=")
        keys = [key for key in known if key == name or key.endswith(f".{name}")]
        if len(keys) != 1 or not value:
            found = f"; {name} may be {' or '.join(keys)}" if len(keys) > 1 else nearest(name, known)
            raise StudyError(
                f"got the base {text!r}; expected parameter=value, a parameter of params.yaml that is no seed{found}"
            )
        try:
            values |= dotted({keys[0]: json.loads(value)})
        except json.JSONDecodeError:
            values[keys[0]] = value
    return values


def _is_base(experiment: Experiment, base: Parameters) -> bool:
    return experiment.setting | base == experiment.setting


def _pairs(
    group: Sequence[Experiment], groups: Mapping[str, Sequence[Experiment]], base: Parameters
) -> list[tuple[Experiment, Experiment]]:
    """The experiments of a group, each with that of its base with the same seeds; none where the group is a base."""
    if _is_base(group[0], base):
        return []
    others = groups.get(json.dumps(group[0].setting | base, sort_keys=True), ())
    of_draw = {other.draw: other for other in others}
    return [(each, of_draw[each.draw]) for each in group if each.draw in of_draw]


def _row(
    group: Sequence[Experiment],
    pairs: Sequence[tuple[Experiment, Experiment]],
    commit: Commit,
    in_words: Callable[[Parameters], str],
) -> Row:
    values = [each.value for each in group]
    mean = paired_difference(values, [0.0] * len(values))
    apart = paired_difference([one.value for one, _ in pairs], [other.value for _, other in pairs]) if pairs else None
    low, high = _ends(mean)
    difference_low, difference_high = (None, None) if apart is None else _ends(apart)
    return Row(
        group=in_words(group[0].setting),
        changes=_changes(group[0].setting, commit),
        n=len(values),
        values=values,
        mean=mean.value,
        low=low,
        high=high,
        difference=None if apart is None else apart.value,
        difference_low=difference_low,
        difference_high=difference_high,
    )


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    return (None, None) if math.isnan(interval.low) else (interval.low, interval.high)


def _digests(root: Path, here: Mapping[str, str], experiments: Sequence[Experiment]) -> dict[str, str | None]:
    """Digests of the working folder's teacher and tables, each None where an experiment has another."""

    def if_shared(dependency: str, read: Callable[[], str]) -> str | None:
        found = {each.files.get(dependency) for each in experiments} | {here.get(dependency)}
        return read() if len(found) == 1 and None not in found and (root / dependency).exists() else None

    def teacher() -> str:
        record = json.loads((root / "models/teacher/teacher.json").read_text(encoding="utf-8"))
        return str(record["weights_sha256"])

    return {
        "teacher_sha256": if_shared("models/teacher", teacher),
        "videos_sha256": if_shared("data/videos.csv", lambda: file_digest(root / "data/videos.csv")),
        "labels_sha256": if_shared("data/labels.csv", lambda: file_digest(root / "data/labels.csv")),
    }
