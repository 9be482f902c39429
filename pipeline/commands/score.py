"""``teachonce score``: files, folders or a list in; a table, CSV, JSON or JSON lines out."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.commands.shared.inputs import FORMATS, expand, load_scorer, raw_options
from pipeline.commands.shared.names import written
from pipeline.commands.shared.resume import take_up
from pipeline.commands.shared.scores import Outcome, open_writer
from pipeline.core.errors import nearest

Short = Literal["trained", "repeat"]
Hdr = Literal["show", "refuse"]


def score(
    paths: Annotated[list[Path] | None, typer.Argument(help="Video files, and folders that are searched.")] = None,
    model: Annotated[str, typer.Option(help="A model folder, a hub name or an ONNX file.")] = "models/student",
    listed: Annotated[Path | None, typer.Option("--list", help="A text file with a path per line.")] = None,
    form: Annotated[str, typer.Option("--format", help="table, csv, json or jsonl.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write here, not to standard output.")] = None,
    resume: Annotated[bool, typer.Option(help="Leave out what --output (csv or jsonl) already has.")] = False,
    curve: Annotated[Path | None, typer.Option(help="A folder for a CSV and a PNG of quality over time.")] = None,
    per_segment: Annotated[bool, typer.Option(help="A row per segment (csv and table).")] = False,
    dataset: Annotated[str | None, typer.Option(help="On whose scale, where the student knows several.")] = None,
    views: Annotated[
        int | None, typer.Option(min=1, max=256, help="Views per segment; as trained when not given.")
    ] = None,
    segment_seconds: Annotated[float, typer.Option(min=0.0, max=1e6, help="Least length of a segment.")] = 10.0,
    window_seconds: Annotated[
        float, typer.Option(min=0.0, max=1e6, help="Least length of a point of the curve.")
    ] = 1.0,
    size: Annotated[str | None, typer.Option(help="Of raw .yuv video, such as 1920x1080.")] = None,
    pix_fmt: Annotated[str | None, typer.Option(help="Of raw .yuv video: yuv420p or yuv420p10le.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.01, help="Of raw .yuv video.")] = None,
    short: Annotated[
        Short, typer.Option(help="Of a video with too few frames: as trained, or repeat frames.")
    ] = "trained",
    hdr: Annotated[Hdr, typer.Option(help="HDR video: show it without tone mapping, or refuse it.")] = "show",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the model; as trained when not given.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "cpu",
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to decode a segment in.")] = 600.0,
) -> None:
    """Score videos with a trained student.

    A score lies on the scale of the opinion scores that the student was calibrated to. The interval encloses 95 of 100
    opinion scores of such videos. "Out of domain" means that the video resembles none that the student was trained on.
    The same file gets the same score to the last bit, whatever is scored beside it.

    Exit status: 0 when every video has a score, 1 when one has none, 2 for wrong use.
    """
    form = "json" if as_json else form
    if form not in FORMATS:
        raise typer.BadParameter(
            f"got {form!r}; expected {', '.join(FORMATS)}{nearest(form, FORMATS)}", param_hint="--format"
        )
    if resume and (output is None or form not in ("csv", "jsonl")):
        raise typer.BadParameter(
            "needs --output and --format csv or jsonl, which grow as videos are scored", param_hint="--resume"
        )
    if resume and per_segment:
        raise typer.BadParameter(
            "rows per segment do not say whether a video is complete; leave out --per-segment", param_hint="--resume"
        )
    decoding, videos = raw_options(size, pix_fmt, fps, refuse_hdr=hdr == "refuse"), expand(paths or [], listed)
    if not videos:
        raise typer.BadParameter("there is no video; give files, folders that have some, or --list", param_hint="PATHS")
    if curve is not None:
        from pipeline.commands.shared.curve import make_folder, write_curve

        make_folder(curve)
    with ExitStack() as stack:
        scorer = load_scorer(
            model,
            stack,
            dataset=dataset,
            num_views=views,
            segment_seconds=segment_seconds,
            window_seconds=window_seconds,
            decoding=decoding,
            timeout_seconds=timeout,
            threads=threads,
            device=device,
            repeats=short == "repeat",
        )
        settings = {
            "model": scorer.model,
            "dataset": scorer.calibration.dataset,
            "views": str(views or scorer.record.num_views),
            "segment_seconds": f"{segment_seconds:g}",
            "window_seconds": f"{window_seconds:g}",
        }
        done = take_up(output, form, settings) if resume and output is not None else {}
        left = [video for video in videos if not _is_done(video, done)]
        writer = stack.enter_context(
            open_writer(form, output, appending=resume, per_segment=per_segment, settings=settings)
        )
        num_failed = 0
        for outcome in _outcomes(scorer.score_many(left), len(left)):
            writer.write(outcome)
            if outcome.score is None:
                num_failed += 1
                print(f"{outcome.name}: {outcome.error}", file=sys.stderr)
                continue
            if outcome.score.notes and form == "table":
                print(f"{outcome.name}: {'; '.join(outcome.score.notes)}", file=sys.stderr)
            if curve is not None:
                write_curve(curve, outcome.path, outcome.score)
    if num_failed:
        print(f"{num_failed} of {len(videos)} videos could not be scored", file=sys.stderr)
        raise typer.Exit(1)


def _outcomes(results: Iterator[tuple[Path, object]], total: int) -> Iterator[Outcome]:
    from pipeline.core.progress import track
    from pipeline.scoring.scores import VideoScore

    if total == 1:
        for path, result in results:
            yield Outcome(path, result) if isinstance(result, VideoScore) else Outcome(path, None, str(result))
        return
    with track("score", total) as advance:
        for path, result in results:
            yield Outcome(path, result) if isinstance(result, VideoScore) else Outcome(path, None, str(result))
            advance(note=written(Path(path.name)))


def _is_done(video: Path, done: dict[str, str]) -> bool:
    """Whether the earlier output has a score of this very file."""
    from cache.store.files import file_digest

    digest = done.get(written(video.absolute()))
    return digest is not None and video.is_file() and file_digest(video) == digest
