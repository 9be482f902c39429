"""``teachonce data``: what data sets there are, what to download, whether it is all there, and what changed since.

Exit status: 0 all is well (nothing differs), 1 the check failed (something differs), 2 wrong use.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipeline.core import registry
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import DATA_ROOT
from pipeline.core.settings import SettingsError
from pipeline.preparation.differences import TABLES, Change, Difference, Version, compare_versions, read_version

app = typer.Typer(name="data", help=__doc__, no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
_SHOWN = 10
_TITLES = {
    "added": "added",
    "removed": "removed",
    "renamed": "renamed",
    "replaced": "replaced by other bytes",
    "moved": "moved",
    "relabelled": "relabelled",
    "split": "in another split",
    "labelled": "labelled or no longer so",
    "described": "with another content, codec, level or further score",
    "scales": "scales that differ",
}


class VersionError(PipelineError):
    """A version of the data set cannot be had."""


@app.command(name="list")
def list_(
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The tables of docs/datasets.md.")] = False,
) -> None:
    """List the data sets that can be read: how many videos, whether they must be asked for, under which licence."""
    from pipeline.commands.shared import catalogue

    if as_json:
        typer.echo(json.dumps(catalogue.as_json(), ensure_ascii=False, indent=1))
    else:
        typer.echo(catalogue.markdown() if as_markdown else "\n".join(catalogue.listed()))


@app.command()
def show(dataset: Annotated[str, typer.Argument(help="Its name in params.yaml, such as kvq.")]) -> None:
    """Say what to download for a data set, and how it must lie on the disk."""
    from pipeline.commands.shared import catalogue

    try:
        lines = catalogue.shown(dataset)
    except PipelineError as error:
        _wrong_use(str(error))
    typer.echo("\n".join(lines))


@app.command()
def check(
    dataset: Annotated[
        str | None, typer.Argument(help="A data set that was laid out, such as kvq: are its files there?")
    ] = None,
    data_root: Annotated[Path, typer.Option(help="The folder that paths are relative to.")] = DATA_ROOT,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    as_json: Json = False,
) -> None:
    """Check the prepared tables and every file they name: bytes, frames, first and last frame, scores, splits.

    With a data set's name: before anything is prepared, which of its label files and videos are there. No video is
    opened, so that it takes seconds.
    """
    if dataset is not None:
        raise typer.Exit(_survey(dataset, data_root, as_json))
    from pipeline.preparation.checks import tables_problems

    version = read_version(data_root)
    problems = tables_problems(version.videos, version.labels, dict(version.scales), data_root, workers=workers)
    if as_json:
        typer.echo(json.dumps({"videos": len(version.videos), "problems": problems}, ensure_ascii=False, indent=1))
    else:
        for problem in problems:
            typer.echo(problem)
        typer.echo(f"{len(version.videos)} videos, {len(problems)} problems")
    raise typer.Exit(1 if problems else 0)


@app.command()
def challenge(
    predictions: Annotated[Path, typer.Argument(help="results/evaluate/predictions.csv of a run on KVQ.")],
    pairs: Annotated[Path, typer.Argument(help="The publisher's rank-pair-val.xlsx.")],
    column: Annotated[str, typer.Option(help="student or teacher.")] = "student",
    as_json: Json = False,
) -> None:
    """Compute the KVQ challenge's score: 0.45 SRCC + 0.45 PLCC + 0.05 of each accuracy on ranked pairs."""
    from pipeline.commands.shared.challenge import score_of

    found = score_of(predictions, pairs, column)
    typer.echo(json.dumps(found, indent=1) if as_json else "  ".join(f"{key} {found[key]:.4f}" for key in found))


def _survey(dataset: str, data_root: Path, as_json: bool) -> int:
    """Looks for a data set's files, and prints what is there; the exit status."""
    from pipeline.commands.shared import catalogue

    try:
        found = catalogue.survey(dataset, data_root)
    except (registry.UnknownName, SettingsError) as error:
        _wrong_use(str(error))
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=1))
        return found.is_wrong
    typer.echo("\n".join(["label files:", *(f"  {table}" for table in found.tables)]))
    typer.echo(f"{found.rows} videos are named, {found.present} are there, {len(found.missing)} are missing")
    for title, names in (("missing", found.missing), ("problems", found.problems)):
        rest = [f"  … and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        typer.echo(
            "\n".join([f"{title}:", *(f"  {name}" for name in names[:_SHOWN]), *rest]) if names else f"no {title}"
        )
    if found.missing:
        typer.echo(found.advice)
    return found.is_wrong


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A git revision, such as v1, or a folder with tables.")],
    new: Annotated[str, typer.Argument(help="The same; left out, the tables of the workspace.")] = str(DATA_ROOT),
    as_json: Json = False,
) -> None:
    """Say what changed from one version of the data set to another."""
    try:
        difference = compare_versions(_version(old), _version(new))
    except PipelineError as error:
        _wrong_use(str(error))  # 1 would say that two versions were compared
    if as_json:
        typer.echo(json.dumps(asdict(difference), ensure_ascii=False, indent=1))
    else:
        for line in describe(difference):
            typer.echo(line)
    raise typer.Exit(1 if difference else 0)


def describe(difference: Difference) -> list[str]:
    """A difference as lines for people: counts, the first names of each kind, and what the stages will do."""
    lines = []
    for name, title in _TITLES.items():
        items: Sequence[Any] = getattr(difference, name)
        if items:
            shown = [_told(item) for item in items[:_SHOWN]]
            rest = [f"… and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
            lines += [f"{len(items)} {title}:", *(f"  {text}" for text in [*shown, *rest])]
    if not lines:
        return ["no difference"]
    count = difference.to_compute
    lines.append(f"render and extract compute {count} {'video' if count == 1 else 'videos'} that were not there before")
    if any(getattr(difference, name) for name in _TITLES if name != "moved"):
        lines.append("a teacher that adapt tunes is tuned anew, unless it is frozen; then extract computes all videos")
    return lines


def _told(item: Any) -> str:
    if not isinstance(item, Change):
        return str(item)
    return f"{item.video_id}: {item.old} → {item.new}"


def _version(name: str) -> Version:
    if (Path(name) / TABLES[0]).is_file():
        return read_version(Path(name))
    if Path(name).is_dir():
        _wrong_use(f"{name} has no {TABLES[0]}; give a folder with the tables, or a git revision")
    with tempfile.TemporaryDirectory(prefix="version-") as folder:
        for table in TABLES:
            (Path(folder) / table).write_text(_at_revision(name, table), encoding="utf-8")
        return read_version(Path(folder))


def _at_revision(revision: str, table: str) -> str:
    """A table as DVC has it at a git revision, from the workspace's cache or a remote."""
    import dvc.api
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    path = (DATA_ROOT / table).as_posix()
    try:
        text: str = dvc.api.read(path, rev=revision, encoding="utf-8")
    except (DvcException, SCMError, OSError) as error:
        raise VersionError(
            f"cannot have {path} at {revision!r}: {error}; expected a revision with its data in DVC's cache or remote"
        ) from None
    return text


def _wrong_use(problem: str) -> NoReturn:
    typer.echo(problem, err=True)
    raise typer.Exit(2)
