"""What the verbs that score have in common: which files, and which student."""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipeline.video.suffixes import is_video, left_out

if TYPE_CHECKING:
    from pipeline.scoring.scorer import QualityScorer
    from pipeline.video.decoder import DecodeOptions

FORMATS = ("table", "csv", "json", "jsonl")
_MOST_THREADS = 4
"""That decode one video."""


def expand(paths: Sequence[Path], listed: Path | None) -> list[Path]:
    """The videos meant: files as given, folders as their videos in order of their names, each once.

    Args:
        paths: files and folders.
        listed: a text file with one path per line, relative to where the command runs; empty lines and lines that
            begin with ``#`` do not count.

    Raises:
        BadParameter: the list cannot be read.
    """
    if listed is not None:
        try:
            lines = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"cannot read {listed}: {error}", param_hint="--list") from None
        paths = [*paths, *(Path(line) for line in lines if line and not line.startswith("#"))]
    videos = [video for path in paths for video in (_videos_below(path) if path.is_dir() else [path])]
    return list(dict.fromkeys(videos))


def _videos_below(folder: Path) -> list[Path]:
    files = sorted(
        Path(place) / name for place, _, names in os.walk(folder) for name in names if not name.startswith(".")
    )
    left = [str(path) for path in files if not is_video(path.name)]
    if left:
        print(f"{folder}: {left_out(left)}; name one outright to try it", file=sys.stderr)
    return [path for path in files if is_video(path.name)]


def raw_options(
    size: str | None, pix_fmt: str | None, fps: float | None, *, refuse_hdr: bool = False
) -> "DecodeOptions":
    """How videos are decoded.

    Args:
        size: such as ``1920x1080``.
        pix_fmt: ``yuv420p`` or ``yuv420p10le``.
        fps: frames per second.
        refuse_hdr: see `DecodeOptions`.

    Raises:
        BadParameter: the size or the format is none.
    """
    from pipeline.video.decoder import DecodeOptions

    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", size or "")
    if size is not None and match is None:
        raise typer.BadParameter(f"got {size!r}; expected something like 1920x1080", param_hint="--size")
    if pix_fmt not in (None, "yuv420p", "yuv420p10le"):
        raise typer.BadParameter(f"got {pix_fmt!r}; expected yuv420p or yuv420p10le", param_hint="--pix-fmt")
    return DecodeOptions(
        threads=min(len(os.sched_getaffinity(0)), _MOST_THREADS),
        raw_width=int(match[1]) if match else None,
        raw_height=int(match[2]) if match else None,
        raw_fps=fps,
        raw_pix_fmt=pix_fmt,
        refuse_hdr=refuse_hdr,
    )


def load_scorer(
    model: str,
    stack: ExitStack,
    *,
    decoding: "DecodeOptions",
    dataset: str | None = None,
    num_views: int | None = None,
    segment_seconds: float = 10.0,
    window_seconds: float = 1.0,
    timeout_seconds: float = 600.0,
    threads: int | None = None,
    device: str = "cpu",
    repeats: bool = False,
) -> "QualityScorer":
    """Loads a student for a command.

    Args:
        model: a folder, a hub name or an ONNX file.
        stack: closes the scorer in the end.
        decoding: see `raw_options`.
        dataset: see `ScoringOptions`, as for what follows.
        num_views: see there.
        segment_seconds: see there.
        window_seconds: see there.
        timeout_seconds: to decode a segment in.
        threads: of the model.
        device: of the model.
        repeats: see `ScoringOptions`.
    """
    from pipeline.scoring.predictors import start_lightly
    from pipeline.scoring.scorer import QualityScorer, ScoringOptions
    from pipeline.workers.tasks import Limits

    start_lightly(model)
    options = ScoringOptions(
        dataset=dataset,
        num_views=num_views,
        segment_seconds=segment_seconds,
        window_seconds=window_seconds,
        decoding=decoding,
        repeats=repeats,
        limits=Limits(seconds=timeout_seconds, memory_bytes=4 << 30, cpu_seconds=2 * timeout_seconds),
    )
    return stack.enter_context(QualityScorer.from_pretrained(model, options, threads=threads, device=device))
