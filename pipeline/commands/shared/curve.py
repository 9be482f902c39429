"""Quality over time, as a CSV for programs and a PNG for people."""

import os
import warnings
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.commands.shared.names import written
from pipeline.core.errors import PipelineError
from pipeline.scoring.scores import VideoScore

_DIGITS = 8
_MOST_BYTES = 200
"""Of a video's name in the names of its files; file systems take 255 in all."""


class CurveError(PipelineError):
    """A curve that cannot be written."""


def make_folder(folder: Path) -> None:
    """Makes the folder for curves, before a video is scored in vain.

    Raises:
        CurveError: there can be none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CurveError(f"--curve: cannot make the folder {folder}: {error.strerror}; name another") from None


def write_curve(folder: Path, video: Path, score: VideoScore) -> tuple[Path, Path]:
    """Writes a video's curve.

    Args:
        folder: see `make_folder`.
        video: names the files, with the beginning of its digest, since two folders may hold videos of one name.
        score: of it.

    Returns:
        The CSV (``start_seconds,stop_seconds,score``) and the PNG.

    Raises:
        CurveError: the folder takes no more.
    """
    stem = os.fsencode(video.stem)[:_MOST_BYTES].decode("utf-8", "ignore")
    name = f"{stem}-{score.sha256[:_DIGITS]}"
    table, picture = folder / f"{name}.csv", folder / f"{name}.png"
    lines = [f"{point.start_seconds:.6f},{point.stop_seconds:.6f},{point.score:.4f}\n" for point in score.curve]
    try:
        table.write_text("".join(["start_seconds,stop_seconds,score\n", *lines]), encoding="utf-8")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph .* missing from font")  # a box stands for it
            _draw(score, written(Path(video.name))).savefig(picture, dpi=150)
    except OSError as error:
        raise CurveError(f"--curve: cannot write {table} and its picture: {error.strerror}") from None
    return table, picture


def _draw(score: VideoScore, title: str) -> Figure:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    edges = [point.start_seconds for point in score.curve] + [score.curve[-1].stop_seconds]
    axes.stairs([point.score for point in score.curve], edges, baseline=None, color="#0b5fa5", linewidth=1.8)
    axes.axhline(score.score, color="#444444", linewidth=1, linestyle="--", label=f"score {score.score:.1f}")
    axes.axhline(
        score.percentile_5,
        color="#b3541e",
        linewidth=1,
        linestyle=":",
        label=f"5th percentile {score.percentile_5:.1f}",
    )
    values = [point.score for point in score.curve]
    axes.set(
        xlabel="seconds",
        ylabel=f"{score.score_name}, {score.dataset}",
        xlim=(0, edges[-1]),
        ylim=(min([score.scale_low, *values]), max([score.scale_high, *values])),
    )
    # A name may hold anything: dollars are no formula.
    axes.set_title(title, parse_math=False, fontsize="medium", wrap=True)
    axes.legend(loc="lower right", frameon=False)
    return figure
