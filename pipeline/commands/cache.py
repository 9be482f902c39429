"""``teachonce cache``: the store's own verbs, and ``recheck``, which needs the teacher."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cache.tools.cli import Json, StorePath, app

__all__ = ["app"]


@app.command()
def recheck(
    path: StorePath,
    clips: Annotated[Path, typer.Option(help="The clips that the store was made from.")] = Path("data/clips.zarr"),
    teacher: Annotated[Path, typer.Option(help="The teacher that made it.")] = Path("models/teacher"),
    sample: Annotated[int, typer.Option(min=1, help="How many videos to run again.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the draw of the sample.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    as_json: Json = False,
) -> None:
    """Run the live teacher on a sample of videos and compare; exit 1 when a row is off by more than the tolerance."""
    from pipeline.teachers.extraction.recheck import recheck as run

    results = run(path, clips=clips, teacher=teacher, sample=sample, seed=seed, device=device)
    if as_json:
        typer.echo(json.dumps([{**asdict(result), "good": result.good} for result in results], indent=1))
    else:
        for result in results:
            verdict = "agrees" if result.good else f"DIFFERS, most in {result.worst_video}"
            typer.echo(
                f"{result.array}: {result.rows} rows, {verdict}: largest difference {result.largest:.1e} of the row's "
                f"largest magnitude, {result.tolerance:.0e} allowed"
            )
    if not all(result.good for result in results):
        raise typer.Exit(1)
