"""An encoder script: the highest CRF, that is the smallest file, whose predicted score stays at or above a threshold.

    python -m benchmarks.choose_crf source.mp4 --threshold 70
    python -m benchmarks.choose_crf --family leaves --codec av1       # makes its source

The source is encoded at every CRF of a ladder; each encode is scored without looking at the source. A plot shows the
predicted scores with their intervals, the choice, and, since the source is at hand, the true pseudo-MOS (MS-SSIM),
which is what students of the embedded data set predict.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.core.errors import PipelineError
from pipeline.scoring.scorer import QualityScorer
from pipeline.scoring.scores import VideoScore
from pipeline.synthesis import fullreference
from pipeline.synthesis.encoding import CODECS, CONTAINERS, CRF_RANGES, PRESETS, Codec, Recipe, decode, encode
from pipeline.synthesis.planes import Shape, Video420
from pipeline.synthesis.sources import render

SHAPE = Shape(width=384, height=216, num_frames=32)
_STEPS = 10


@dataclass(frozen=True, kw_only=True)
class Step:
    """One encode of the ladder.

    Attributes:
        crf: the encoder's constant rate factor.
        size_bytes: of the file.
        score: predicted, in MOS.
        low: end of its 95 % interval.
        high: the other end.
        truth: pseudo-MOS (MS-SSIM) against the source.
    """

    crf: int
    size_bytes: int
    score: float
    low: float
    high: float
    truth: float


def climb(source: Video420, codec: Codec, crfs: Sequence[int], scorer: QualityScorer) -> list[Step]:
    """Encodes and scores the ladder.

    Args:
        source: what is encoded.
        codec: ``h264``, ``hevc``, ``vp9`` or ``av1``.
        crfs: ascending.
        scorer: of any student.

    Raises:
        PipelineError: an encode fails or cannot be scored.
    """
    steps = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{crf}.{CONTAINERS[codec]}" for crf in crfs]
        for crf, path in zip(crfs, paths, strict=True):
            path.write_bytes(encode(source, Recipe(codec=codec, crf=crf, preset=PRESETS[codec][-1])))
        for crf, (path, result) in zip(crfs, scorer.score_many(paths), strict=True):
            if not isinstance(result, VideoScore):
                raise result
            similarity = fullreference.ms_ssim(source.y, decode(path).y)
            steps.append(
                Step(
                    crf=crf,
                    size_bytes=path.stat().st_size,
                    score=result.score,
                    low=result.low,
                    high=result.high,
                    truth=fullreference.score(fullreference.decibels(similarity)),
                )
            )
    return steps


def choose(steps: Sequence[Step], threshold: float) -> Step | None:
    """The last step before the predicted score first falls below the threshold; None where even the first is below.

    Args:
        steps: of ascending CRF.
        threshold: in MOS.
    """
    good = next((index for index, step in enumerate(steps) if step.score < threshold), len(steps))
    return steps[good - 1] if good else None


def draw(steps: Sequence[Step], threshold: float, chosen: Step | None, path: Path) -> None:
    """Plots the ladder.

    Args:
        steps: of ascending CRF.
        threshold: in MOS.
        chosen: from `choose`.
        path: of the picture; its suffix chooses the format.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    crfs = [step.crf for step in steps]
    axes.fill_between(
        crfs, [step.low for step in steps], [step.high for step in steps], color="#0b5fa5", alpha=0.15, linewidth=0
    )
    axes.plot(crfs, [step.score for step in steps], "o-", color="#0b5fa5", label="predicted, with its 95 % interval")
    axes.plot(crfs, [step.truth for step in steps], "s--", color="#b3541e", label="true pseudo-MOS (MS-SSIM)")
    axes.axhline(threshold, color="#444444", linewidth=1, linestyle=":", label=f"threshold {threshold:g}")
    if chosen is not None:
        axes.axvline(chosen.crf, color="#444444", linewidth=1)
        axes.annotate(f"CRF {chosen.crf}, {chosen.size_bytes / 1000:.1f} kB", (chosen.crf, 3), rotation=90, ha="right")
    axes.set(xlabel="CRF", ylabel="score", ylim=(0, 100))
    axes.legend(loc="lower left", frameon=False)
    figure.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status is 1 when no CRF of the ladder is good enough."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choose_crf", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", nargs="?", type=Path, help="a video of high quality; none makes one of --family")
    parser.add_argument("--family", default="leaves", help="what kind of source is made")
    parser.add_argument("--codec", choices=CODECS, default="h264")
    parser.add_argument("--threshold", type=float, default=70.0, help="lowest score that is good enough")
    parser.add_argument("--model", default="models/student", help="a model folder, a hub name or an ONNX file")
    parser.add_argument("--plot", type=Path, help="write a picture of the ladder here")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    given = parser.parse_args(arguments)
    try:
        source = decode(given.source) if given.source else render(given.family, ("choose_crf",), SHAPE)
        low, high = CRF_RANGES[given.codec]
        crfs = sorted({round(crf) for crf in np.linspace(low, high, _STEPS).tolist()})
        with QualityScorer.from_pretrained(given.model) as scorer:
            steps = climb(source, given.codec, crfs, scorer)
    except (PipelineError, av.error.FFmpegError) as error:
        print(error, file=sys.stderr)
        return 1
    chosen = choose(steps, given.threshold)
    if given.plot is not None:
        draw(steps, given.threshold, chosen, given.plot)
    if given.json:
        document = {"steps": [asdict(step) for step in steps], "chosen": None if chosen is None else chosen.crf}
        print(json.dumps(document, indent=1))
        return int(chosen is None)
    print(" CRF   bytes  predicted       interval   true")
    for step in steps:
        mark = "  <- chosen" if step is chosen else ""
        interval = f"{step.low:.1f} … {step.high:.1f}"
        print(f"{step.crf:4d} {step.size_bytes:7,d} {step.score:10.1f} {interval:>14s} {step.truth:6.1f}{mark}")
    if chosen is None:
        print(f"no CRF of the ladder is predicted to reach {given.threshold:g}", file=sys.stderr)
    return int(chosen is None)


if __name__ == "__main__":
    sys.exit(main())
