"""Quality over time, as a CSV for programs and a PNG for people."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.scores import VideoScore

_DIGITS = 8


def write_curve(folder: Path, video: Path, score: VideoScore) -> tuple[Path, Path]:
    """Writes a video's curve.

    Args:
        folder: made where it is missing.
        video: names the files, with the beginning of its digest, since two folders may hold videos of one name.
        score: of it.

    Returns:
        The CSV (``start_seconds,stop_seconds,score``) and the PNG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{video.stem}-{score.sha256[:_DIGITS]}"
    table, picture = folder / f"{name}.csv", folder / f"{name}.png"
    lines = [f"{point.start_seconds:.6f},{point.stop_seconds:.6f},{point.score:.4f}\n" for point in score.curve]
    table.write_text("".join(["start_seconds,stop_seconds,score\n", *lines]), encoding="utf-8")
    _draw(score, video.name).savefig(picture, dpi=150)
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
        title=title,
        xlim=(0, edges[-1]),
        ylim=(min([score.scale_low, *values]), max([score.scale_high, *values])),
    )
    axes.legend(loc="lower right", frameon=False)
    return figure
