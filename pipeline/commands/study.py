"""``teachonce study``: the experiments of a commit as one table, paired by seed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.evaluation.experiments import EVERY, shown_experiments
from pipeline.evaluation.study import METRIC, as_text, make_study, save

FOLDER = Path("results/study")


def study(
    name: Annotated[str, typer.Argument(help="The experiments called so, or so with - and more.")] = EVERY,
    base: Annotated[
        list[str] | None, typer.Option(help="parameter=value of what each setting is compared with; may be repeated.")
    ] = None,
    metric: Annotated[str, typer.Option(help="A key of a declared metrics file, or file:key.")] = METRIC,
    rev: Annotated[str, typer.Option(help="The commit that the experiments change.")] = "HEAD",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Tabulate DVC experiments: a row per setting, with the mean over seeds and the difference from a base.

    Queue them with ``dvc exp run --queue --name NAME -S …``, run them with ``dvc queue start``. The table is saved as
    results/study/NAME.csv and .json. Experiments that failed or still wait are listed. Exit status: 0, or 1 when none
    counts.
    """
    found = make_study(shown_experiments(Path(), rev), Path(), name=name, metric=metric, base=base or [])
    table = save(found, FOLDER)
    typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=1) if as_json else f"{as_text(found)}\n{table}")
