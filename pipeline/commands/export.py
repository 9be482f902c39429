"""``teachonce export``: a student as an ONNX file, checked against torch before it is left behind."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.shared.inputs import expand, load_scorer, raw_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def export(
    output: Annotated[Path, typer.Argument(help="The file to write, such as student.onnx.")],
    model: Annotated[str, typer.Option(help="A model folder or a hub name.")] = "models/student",
    int8: Annotated[bool, typer.Option("--int8", help="Quantise weights and matrix products to 8 bits.")] = False,
    check: Annotated[
        list[Path] | None, typer.Option("--check", help="Videos or folders to measure the loss on; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Write a student as an ONNX file, with preprocessing and calibration in its metadata.

    The file takes any number of clips at once. Its scores are compared with torch's: on the views of the videos of
    --check, else on made clips. Exit status 1 when they differ by more than 1e-4 of the scale (without --int8).
    """
    from pipeline.scoring.export import PARITY, ExportError, deviation, export_onnx
    from pipeline.scoring.predictors import load_quietly

    student = load_quietly(model)
    export_onnx(student, output, int8=int8)
    clips = None if not check else _views(model, expand(check, None))
    measured = deviation(student, output, clips)
    size_bytes = output.stat().st_size
    if as_json:
        typer.echo(json.dumps({"path": str(output), "bytes": size_bytes, "int8": int8, **asdict(measured)}, indent=1))
    else:
        kind = f"{measured.num_clips} {'views of videos' if check else 'made clips'}"
        typer.echo(
            f"{output}: {size_bytes:,} bytes; against torch on {kind}: largest difference {measured.largest:.2e} of "
            f"the scale, mean {measured.mean:.2e}"
        )
    if not int8 and measured.largest > PARITY:
        raise ExportError(
            f"{output} differs from torch by {measured.largest:.2e} of the scale; at most {PARITY} is good"
        )


def _views(model: str, videos: Sequence[Path]) -> "NDArray[np.uint8]":
    """The views of each video's first segment, as they are scored."""
    import numpy as np

    with ExitStack() as stack:
        scorer = load_scorer(model, stack, decoding=raw_options(None, None, None))
        return np.concatenate([next(scorer.read(video)).views for video in videos])
