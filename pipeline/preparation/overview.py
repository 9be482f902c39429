"""A picture of a data set: what was scored how, with which codecs and levels, in which sizes and lengths.

The same tables give the same bytes: nothing in the picture tells when or where it was drawn.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.core.files import replacing
from pipeline.core.manifest import Label, ScoreScale, Video

_SPLITS = {"train": "#4c72b0", "val": "#dd8452", "test": "#55a868"}
_MOST_ROWS = 12
_NUM_BINS = 20
_LONGEST_NAME = 22


def draw_overview(path: Path, videos: Sequence[Video], labels: Sequence[Label], scales: dict[str, ScoreScale]) -> None:
    """Draws ``overview.png``.

    Args:
        path: of the picture; replaced in one step.
        videos: of the manifest.
        labels: in the same order.
        scales: data set → scale. Several data sets are drawn on the unit scale.
    """
    figure = Figure(figsize=(11.0, 8.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    scores, codecs, sizes, lengths = figure.subplots(2, 2).ravel()
    _draw_scores(scores, videos, labels, scales)
    _draw_counts(codecs, _codec_and_level(labels), labels, "Codecs and levels")
    _draw_counts(sizes, [_size(video) for video in videos], labels, "Sizes, px")
    _draw_lengths(lengths, videos, labels)
    figure.suptitle(f"{len(videos)} videos of {len({label.content for label in labels})} contents")
    with replacing(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})


def _draw_scores(axes: Any, videos: Sequence[Video], labels: Sequence[Label], scales: dict[str, ScoreScale]) -> None:
    if len(scales) == 1:
        ((_, only),) = scales.items()
        low, high, title = only.low, only.high, only.score_name
    else:
        low, high, title = 0.0, 1.0, "scores, each on its data set's scale from 0 to 1"

    def score(number: int) -> float | None:
        mos, scale = labels[number].mos, scales[videos[number].dataset]
        return mos if mos is None or len(scales) == 1 else scale.to_unit(mos)

    _histogram(axes, score, labels, np.linspace(low, high, _NUM_BINS + 1))
    missing = sum(label.mos is None for label in labels)
    axes.set(title=title + (f" ({missing} videos without)" if missing else ""), ylabel="videos")
    axes.legend(frameon=False)


def _draw_lengths(axes: Any, videos: Sequence[Video], labels: Sequence[Label]) -> None:
    def seconds(number: int) -> float | None:
        video = videos[number]
        return video.num_frames / video.fps if video.fps and video.num_frames else None

    known = [value for value in map(seconds, range(len(videos))) if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    _histogram(axes, seconds, labels, np.linspace(low * 0.999, max(high, low + 1e-3) * 1.001, _NUM_BINS + 1))
    unknown = len(videos) - len(known)
    axes.set(title="Durations, s" + (f" ({unknown} videos without a rate)" if unknown else ""), ylabel="videos")


def _histogram(axes: Any, value: Callable[[int], float | None], labels: Sequence[Label], edges: np.ndarray) -> None:
    """Stacked by split."""
    values = [value(number) for number in range(len(labels))]
    parts = [
        [number for number, label in zip(values, labels, strict=True) if label.split == split and number is not None]
        for split in _SPLITS
    ]
    counts = [np.histogram(part, edges)[0] for part in parts]
    bottom = np.zeros(len(edges) - 1)
    for (split, colour), count in zip(_SPLITS.items(), counts, strict=True):
        axes.bar(edges[:-1], count, np.diff(edges), bottom=bottom, align="edge", color=colour, label=split)
        bottom += count
    axes.spines[["top", "right"]].set_visible(False)


def _draw_counts(axes: Any, names: Sequence[str], labels: Sequence[Label], title: str) -> None:
    """Bars by name, stacked by split; where there are many, the commonest, and the others summed."""
    ranked = [name for name, _ in sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))]
    shown = sorted(ranked) if len(ranked) <= _MOST_ROWS else ranked[: _MOST_ROWS - 1]
    rest = f"{len(ranked) - len(shown)} others"
    rows = [*shown, *([rest] if len(shown) < len(ranked) else [])]
    known = set(shown)
    counts = Counter(
        (name if name in known else rest, str(label.split)) for name, label in zip(names, labels, strict=True)
    )
    left = np.zeros(len(rows))
    for split, colour in _SPLITS.items():
        width = np.array([counts[row, split] for row in rows], np.float64)
        axes.barh(range(len(rows)), width, left=left, color=colour)
        left += width
    axes.set_yticks(range(len(rows)), [_shortened(row) for row in rows])
    axes.invert_yaxis()
    axes.set(title=title, xlabel="videos")
    axes.spines[["top", "right"]].set_visible(False)


def _codec_and_level(labels: Sequence[Label]) -> list[str]:
    """Codec with its level; where these are too many, with its band of levels; else the codec alone."""
    exact = [f"{label.codec or 'unknown'} {label.level}".strip() for label in labels]
    if len(set(exact)) <= _MOST_ROWS:
        return exact
    levels: dict[str, list[float]] = {}
    for label in labels:
        number = _number(label.level)
        if number is not None:
            levels.setdefault(label.codec, []).append(number)
    return [_banded(label, levels.get(label.codec, [])) for label in labels]


def _banded(label: Label, levels: list[float]) -> str:
    codec, number = label.codec or "unknown", _number(label.level)
    if number is None or len(set(levels)) < 3:
        return codec
    low, first, second, high = np.quantile(levels, [0.0, 1 / 3, 2 / 3, 1.0])
    start, end = (low, first) if number <= first else (first, second) if number <= second else (second, high)
    return f"{codec} {start:.0f}–{end:.0f}"


def _number(level: str) -> float | None:
    try:
        return float(level)
    except ValueError:
        return None


def _size(video: Video) -> str:
    return f"{video.width}×{video.height}" if video.width and video.height else "unknown"


def _shortened(name: str) -> str:
    printable = "".join(letter if letter.isprintable() and ord(letter) < 0x2500 else "?" for letter in name)
    printable = printable.replace("$", r"\$")
    return printable if len(printable) <= _LONGEST_NAME else printable[: _LONGEST_NAME - 1] + "…"
