"""``teachonce cache``: look into a store, check it, compare, exchange, and clean the pool.

Exit status: 0 all is well, 1 the check failed (a damaged store, two stores that differ), 2 wrong use.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cache.build.pool import Pool
from cache.store.errors import CacheError, ExchangeError, StoreError
from cache.store.files import Folder, distrust
from cache.store.specs import FAILED
from cache.store.store import Store, open_store
from cache.store.verify import UNEXPECTED
from cache.store.verify import verify as verify_files

app = typer.Typer(name="cache", help=__doc__, no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
StorePath = Annotated[Path, typer.Argument(help="A store, such as data/targets.zarr.")]
BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _stop(error: object, status: int) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(status)


@contextmanager
def _outcome() -> Iterator[None]:
    try:
        yield
    except (StoreError, ExchangeError) as error:
        _stop(error, 1)
    except CacheError as error:
        _stop(error, 2)


def _existing(path: Path) -> Path:
    if not path.exists():
        _stop(f"there is no {path}; expected the folder of a store", 2)
    return path


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


def _measure(text: str, units: dict[str, int], example: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not match or match[2] not in units:
        _stop(f"got {text!r}; expected something like {example}", 2)
    return float(match[1]) * units[match[2]]


def describe(store: Store) -> dict[str, Any]:
    """Return what ``info`` shows, as plain JSON."""
    arrays = {}
    for name, spec in store.arrays.items():
        stored = store.root.layout.target(spec)
        files = sum(sha256 is not None for sha256 in store.root.chunks[name])
        arrays[name] = {
            "rows": spec.rows,
            "dtype": spec.dtype,
            "shape": list(spec.shape),
            "dims": list(spec.dims),
            "bytes": files * stored.chunk_rows * stored.row_bytes,
            "files": files,
            "loss": store.root.losses.get(name),
            "fingerprint": spec.fingerprint,
        }
    failed = [row for row in range(0, len(store), store.views_per_video) if store.status[row] == FAILED]
    return {
        "kind": store.kind,
        "rows": len(store),
        "videos": len(store) // store.views_per_video,
        "views_per_video": store.views_per_video,
        "failed": {store.video_ids[row]: store.reasons[row] for row in failed},
        "arrays": arrays,
        "columns": list(store.columns),
        "metadata": store.metadata,
        "digest": store.digest(),
        "intact": store.intact,
    }


@app.command()
def info(
    path: StorePath,
    as_json: Json = False,
    statistics: Annotated[list[str] | None, typer.Option(help="Also measure this array (repeatable).")] = None,
) -> None:
    """Show rows, arrays, dtypes, bytes, fingerprints and the measured loss of the stored precision."""
    with _outcome():
        store = open_store(_existing(path))
        about = describe(store)
        if statistics:
            from cache.tools.statistics import statistics as measure

            about["statistics"] = {name: measure(store, name).as_dict() for name in statistics}
    if as_json:
        _print(about)
        return
    typer.echo(
        f"{path}: {about['kind']}, {about['rows']} rows = {about['videos']} videos x {about['views_per_video']} views"
    )
    typer.echo(f"digest {about['digest']}")
    for name, array in about["arrays"].items():
        typer.echo(
            f"{name}: {array['dtype']} {tuple(array['shape'])}, {array['bytes']} bytes in {array['files']} files"
        )
        if array["loss"]:
            typer.echo(f"  loss of precision: {json.dumps(array['loss'])}")
        typer.echo(f"  fingerprint: {json.dumps(array['fingerprint'], ensure_ascii=False)}")
    for name, measured in about.get("statistics", {}).items():
        typer.echo(f"statistics of {name}: {json.dumps(measured)}")
    for video_id, reason in about["failed"].items():
        typer.echo(f"failed: {video_id}: {reason}")
    if not about["intact"]:
        typer.echo("its zarr.json was changed after writing; verify says more")


@app.command()
def verify(
    path: StorePath,
    as_json: Json = False,
    deep: Annotated[bool, typer.Option("--deep", help="Compare every SHA-256 too, of files and of rows.")] = False,
) -> None:
    """Read everything and name every array, chunk and video that is not as it was written.

    A damaged file stays as it is, but loses its read-only mark, so that DVC, which may store it as one file with its
    cache, does not vouch for it: `dvc repro` then makes it anew.
    """
    files = Folder(_existing(path))
    problems = verify_files(files, deep=deep)
    for problem in problems:
        if problem.chunk and problem.what != UNEXPECTED:
            distrust(files.path(problem.chunk))
    if as_json:
        _print({"ok": not problems, "problems": [problem.as_dict() for problem in problems]})
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(f"{path}: {f'{len(problems)} problem(s)' if problems else 'ok'}")
    if problems:
        raise typer.Exit(1)


@app.command()
def digest(path: StorePath) -> None:
    """Print one digest of the content."""
    with _outcome():
        typer.echo(open_store(_existing(path)).digest())


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A store.")],
    b: Annotated[Path, typer.Argument(help="Another store.")],
    as_json: Json = False,
) -> None:
    """Say which rows and arrays of two stores differ, and why; exit 1 when any does."""
    from cache.tools.diff import diff as compare

    with _outcome():
        differences = compare(open_store(_existing(a)), open_store(_existing(b)))
    if as_json:
        _print({"equal": not differences, "differences": [difference.as_dict() for difference in differences]})
    else:
        for difference in differences:
            typer.echo(str(difference))
        typer.echo(f"{len(differences)} difference(s)" if differences else "equal")
    if differences:
        raise typer.Exit(1)


@app.command("export")
def export_(path: StorePath, hdf5: Annotated[Path, typer.Argument(help="The HDF5 file to write.")]) -> None:
    """Write a store to one HDF5 file."""
    from cache.tools.hdf5 import export_hdf5

    with _outcome():
        export_hdf5(open_store(_existing(path)), hdf5)


@app.command("import")
def import_(
    hdf5: Annotated[Path, typer.Argument(help="A file that export wrote.")],
    path: Annotated[Path, typer.Argument(help="The store to make.")],
) -> None:
    """Make a store from an exported HDF5 file."""
    from cache.tools.hdf5 import import_hdf5

    with _outcome():
        import_hdf5(_existing(hdf5), path)


@app.command()
def gc(
    pool: Annotated[Path | None, typer.Option(help="The pool; the project's when not given.")] = None,
    keep: Annotated[list[Path] | None, typer.Option(help="A store whose rows stay (repeatable).")] = None,
    unused: Annotated[bool, typer.Option("--unused", help="Remove all that no --keep store uses.")] = False,
    older_than: Annotated[str | None, typer.Option(help="Remove what was not used for so long: 30d, 12h.")] = None,
    max_size: Annotated[str | None, typer.Option(help="Shrink to this size, oldest use first: 20GB.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Really remove, not only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Clean the pool by age, size or use; rows of the stores named, and of running builds, always stay."""
    from cache.tools.gc import collect

    age = None if older_than is None else _measure(older_than, SECONDS, "30d or 12h")
    size = None if max_size is None else int(_measure(max_size, BYTES, "20GB or 500MB"))
    with _outcome():
        stores = [open_store(_existing(path)) for path in keep or []]
        place = Pool(pool) if pool else Pool.locate()
        done = collect(place, keep=stores, unused=unused, older_than_seconds=age, max_bytes=size, dry_run=not delete)
    if as_json:
        _print(asdict(done))
        return
    verb = "would remove" if done.dry_run else "removed"
    typer.echo(
        f"{place.root}: {verb} {done.removed} entries of {done.removed_bytes} bytes ({done.freed_bytes} on disk)"
    )
    typer.echo(
        f"{done.remaining} entries of {done.remaining_bytes} bytes stay; {done.busy} array(s) in use by running builds"
    )
    if done.dry_run and done.removed:
        typer.echo("nothing was removed; add --delete to do it")
