"""``teachonce compare a b``: which of two videos is better, and how sure that is."""

import json
import math
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.shared.inputs import load_scorer, raw_options

if TYPE_CHECKING:
    from pipeline.scoring.scores import VideoScore
    from pipeline.students.shared.calibration import Calibration


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two videos side by side.

    Attributes:
        a: score of the first, in MOS.
        b: score of the second.
        difference: b - a.
        low: end of the 95 % interval of the difference, the errors of the two being taken as independent; those of two
            encodings of one source are alike, so that the interval is rather too wide than too narrow.
        high: the other end.
        verdict: ``b is better``, ``a is better`` or ``no clear difference``.
        windows_better: in how many windows b is better; None where the two have not the same windows.
        num_windows: how many windows were compared.
        score_name: such as ``MOS``.
        dataset: whose scale it is.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    verdict: str
    windows_better: int | None
    num_windows: int | None
    score_name: str
    dataset: str


def compare(
    a: Annotated[Path, typer.Argument(help="A video.")],
    b: Annotated[Path, typer.Argument(help="The video to compare it with.")],
    model: Annotated[str, typer.Option(help="A model folder, a hub name or an ONNX file.")] = "models/student",
    dataset: Annotated[str | None, typer.Option(help="On whose scale, where the student knows several.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Exit with status 1 when b scores lower than a by more than this.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Of raw .yuv video, such as 1920x1080.")] = None,
    pix_fmt: Annotated[str | None, typer.Option(help="Of raw .yuv video: yuv420p or yuv420p10le.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.01, help="Of raw .yuv video.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the model; as trained when not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Say which of two videos is better, and how sure that is.

    Exit status: 0, or 1 when a video cannot be scored or --tolerance is exceeded.
    """
    with ExitStack() as stack:
        scorer = load_scorer(model, stack, decoding=raw_options(size, pix_fmt, fps), dataset=dataset, threads=threads)
        comparison = compare_scores(scorer.score(a), scorer.score(b), scorer.calibration)
    if as_json:
        typer.echo(json.dumps({"paths": [str(a), str(b)], **asdict(comparison)}, ensure_ascii=False, indent=1))
    else:
        typer.echo(describe(comparison, a, b))
    if tolerance is not None and comparison.difference < -tolerance:
        raise typer.Exit(1)


def compare_scores(a: "VideoScore", b: "VideoScore", calibration: "Calibration") -> Comparison:
    """Compares two scores by one student.

    Args:
        a: of the first video.
        b: of the second.
        calibration: by which they were scored.
    """
    difference, length = b.score - a.score, calibration.scale.length
    factor = math.inf if calibration.interval_factor is None else calibration.interval_factor
    reach = factor * math.sqrt(2) * max(calibration.residual_std, 1e-6 * length)
    verdict = "no clear difference" if abs(difference) <= reach else f"{'b' if difference > 0 else 'a'} is better"
    spans = [[(point.start_seconds, point.stop_seconds) for point in score.curve] for score in (a, b)]
    pairs = list(zip(a.curve, b.curve, strict=True)) if spans[0] == spans[1] else None
    return Comparison(
        a=a.score,
        b=b.score,
        difference=difference,
        low=max(difference - reach, min(difference, -length)),
        high=min(difference + reach, max(difference, length)),
        verdict=verdict,
        windows_better=None if pairs is None else sum(second.score > first.score for first, second in pairs),
        num_windows=None if pairs is None else len(pairs),
        score_name=a.score_name,
        dataset=a.dataset,
    )


def describe(comparison: Comparison, a: Path, b: Path) -> str:
    """A comparison for people."""
    lines = [
        f"a  {comparison.a:6.1f}  {a}",
        f"b  {comparison.b:6.1f}  {b}",
        f"b - a = {comparison.difference:+.1f}, 95 % interval {comparison.low:+.1f} … {comparison.high:+.1f} "
        f"({comparison.score_name} of {comparison.dataset}): {comparison.verdict}",
    ]
    if comparison.num_windows is not None:
        lines.append(f"b is better in {comparison.windows_better} of {comparison.num_windows} windows")
    return "\n".join(lines)
