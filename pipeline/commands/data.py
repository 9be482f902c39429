"""``teachonce data``: check the prepared data set against its files, and say what changed between two versions of it.

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

from pipeline.core.errors import PipelineError
from pipeline.core.manifest import DATA_ROOT
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
    "described": "with another content, codec or level",
    "scales": "scales that differ",
}


class VersionError(PipelineError):
    """A version of the data set cannot be had."""


@app.command()
def check(
    data_root: Annotated[Path, typer.Option(help="The folder that paths are relative to.")] = DATA_ROOT,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    as_json: Json = False,
) -> None:
    """Check the tables and every file they name: bytes, frames, first and last frame, scores, splits, duplicates."""
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
