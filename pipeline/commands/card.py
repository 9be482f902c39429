"""``teachonce card``: a student in a folder to publish, its card completed with test figures and licences."""

from pathlib import Path
from typing import Annotated

import typer


def card(
    folder: Annotated[Path, typer.Argument(help="A new folder for the student and its card.")],
    model: Annotated[Path, typer.Option(help="A model folder; it stays as it is.")] = Path("models/student"),
    results: Annotated[Path, typer.Option(help="What evaluate wrote.")] = Path("results/evaluate"),
    weights: Annotated[str | None, typer.Option("--licence", help="Of the weights, such as apache-2.0.")] = None,
    videos: Annotated[str | None, typer.Option("--licence-videos", help="Of the training videos.")] = None,
    scores: Annotated[str | None, typer.Option("--licence-scores", help="Of the opinion scores.")] = None,
    teacher: Annotated[str | None, typer.Option("--licence-teacher", help="Of the teacher's weights.")] = None,
) -> None:
    """Copy a student to a folder to publish, with the figures of the test split and licences in its card.

    The figures are refused when they belong to other weights than these. Exit status: 0, or 1 when there are none.
    """
    from pipeline.scoring.card import Additions, CardError, publish, read_figures
    from pipeline.scoring.predictors import load_quietly

    student, figures = load_quietly(model), read_figures(results)
    if figures.model != student.digest():
        raise CardError(
            f"{results} has figures of the student {figures.model}, and {model} holds {student.digest()}; run "
            "the stage evaluate again"
        )
    given = {"weights": weights, "videos": videos, "scores": scores, "teacher": teacher}
    licences = {key: name for key, name in given.items() if name is not None}
    publish(model, folder, student.config.to_dict(), Additions(figures=figures, licences=licences))
    typer.echo(f"{folder}/README.md: test figures of {figures.num_videos} videos")
