"""A score for a video: from its frames through a student to the scale of opinion scores, with an interval.

```python
from pipeline.scoring.scorer import QualityScorer

with QualityScorer.from_pretrained("models/student") as scorer:
    result = scorer.score("x.mp4")
print(result.score, result.low, result.high)
```

A video of one segment (`ScoringOptions.segment_seconds`) is scored exactly as ``evaluate`` scores it: the mean over its
views of the raw score, calibrated. A longer one is the mean over its segments. Beside it stands a curve with a value
per window. Nothing depends on which other videos are scored: each batch is one segment's.

Decoding happens in a worker process, one segment ahead of the model, so that a hostile video costs its own score only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import PipelineError
from pipeline.scoring.predictors import Predictor, load_predictor
from pipeline.scoring.record import ScoringRecord
from pipeline.scoring.scores import SegmentScore, VideoScore, WindowScore, harmonic_mean
from pipeline.scoring.segments import ScoringTask, SegmentClips, Span, VideoHead, advance
from pipeline.students.shared.calibration import view_variance
from pipeline.students.shared.domain import video_vector
from pipeline.video.decoder import DecodeOptions
from pipeline.workers.local import Worker
from pipeline.workers.tasks import Limits, Lost

_LOW_PERCENTILE = 5.0


class ScoringError(PipelineError):
    """A video that cannot be scored; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How videos are scored.

    Attributes:
        dataset: on whose scale; None where the student knows only one.
        num_views: per segment; None takes the number that the student was calibrated with.
        segment_seconds: least length of a segment; a video shorter than twice this is one segment.
        window_seconds: least length of a window of the curve.
        decoding: limits, and what raw video does not tell of itself.
        repeats: whether a video that is too short for the student repeats frames, also where its training videos could
            not.
        limits: of the worker process, for each segment; the first includes hashing the file and counting its frames.
    """

    dataset: str | None = None
    num_views: int | None = None
    segment_seconds: float = 10.0
    window_seconds: float = 1.0
    decoding: DecodeOptions = field(default_factory=DecodeOptions)
    repeats: bool = False
    limits: Limits = field(default_factory=lambda: Limits(seconds=600.0, memory_bytes=4 << 30, cpu_seconds=1200.0))


class QualityScorer:
    """Scores videos with one student; a context manager, since it keeps a worker process.

    Args:
        predictor: runs the student.
        options: how to score.

    Raises:
        ModelError: the student does not say how its clips are made, or has no such scale.
    """

    def __init__(self, predictor: Predictor, options: ScoringOptions | None = None) -> None:
        self.options = options or ScoringOptions()
        self.record = ScoringRecord.of(predictor.config)
        self.calibration = self.record.calibration(self.options.dataset)
        self.model = predictor.digest
        self._predictor = predictor
        self._worker = Worker(self.options.limits)

    @classmethod
    def from_pretrained(
        cls,
        model: Path | str,
        options: ScoringOptions | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
    ) -> "QualityScorer":
        """Loads a student.

        Args:
            model: a folder written by ``distill``, a hub name, or an ONNX file.
            options: how to score.
            threads: of the model on the CPU; None takes the number it was trained with. It can change the last bits.
            device: for torch: ``cpu``, ``cuda`` or ``auto``.

        Raises:
            PipelineError: there is no such student.
        """
        return cls(load_predictor(model, threads=threads, device=device), options)

    def score(self, path: Path | str) -> VideoScore:
        """Scores one video.

        Raises:
            ScoringError: it cannot be scored.
        """
        for _, result in self.score_many([path]):
            if isinstance(result, VideoScore):
                return result
            raise ScoringError(f"{path}: {result}")
        raise ScoringError("no video was given")

    def score_many(self, paths: Sequence[Path | str]) -> Iterator[tuple[Path, VideoScore | ScoringError]]:
        """Scores videos one after another; the next one is opened while the model works on the last segment.

        Yields:
            Each path with its score, or with the reason why it has none, in the order given.
        """
        given = [Path(path) for path in paths]
        parts: list[_ScoredSegment] = []
        head: VideoHead | None = None
        for path, answer in self._answers(given):
            if isinstance(answer, VideoHead):
                head, parts = answer, []
            elif isinstance(answer, SegmentClips):
                parts.append(self._score_segment(answer))
            elif isinstance(answer, Lost):
                yield path, ScoringError(answer.reason)
            elif answer is not None or head is None:
                yield path, ScoringError(answer or "the video has no frames")
            else:
                yield path, self._put_together(head, parts)

    def read(self, path: Path | str) -> Iterator[SegmentClips]:
        """The clips by which a video is scored, a segment at a time.

        Raises:
            ScoringError: it cannot be read.
        """
        for _, answer in self._answers([Path(path)]):
            if isinstance(answer, SegmentClips):
                yield answer
            elif isinstance(answer, Lost | str):
                raise ScoringError(f"{path}: {answer.reason if isinstance(answer, Lost) else answer}")

    def close(self) -> None:
        """Ends the worker process."""
        self._worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _task(self, path: Path) -> ScoringTask:
        return ScoringTask(
            path=path.absolute(),
            policy=self.record.policy,
            num_views=self.options.num_views or self.record.num_views,
            segment_seconds=self.options.segment_seconds,
            window_seconds=self.options.window_seconds,
            repeat=self.record.repeat or self.options.repeats,
            decoder=self.record.decoder,
            options=self.options.decoding,
        )

    def _answers(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Any]]:
        """What the worker says of each video; it works on the next answer while the caller uses this one."""
        if not paths:
            return
        finished = False
        try:
            self._worker.ask(advance, self._task(paths[0]))
            for path, following in zip(paths, [*paths[1:], None], strict=True):
                going_on = True
                while going_on:
                    answer = self._worker.answer()
                    going_on = isinstance(answer, VideoHead | SegmentClips)
                    finished = not going_on and following is None
                    if not finished:
                        self._worker.ask(advance, None if going_on or following is None else self._task(following))
                    yield path, answer
        finally:
            if not finished:
                self._worker.close()

    def _score_segment(self, segment: SegmentClips) -> "_ScoredSegment":
        raw, embeddings = self._predictor(segment.views)
        windows = [float(self._predictor(clip[None])[0][0]) for clip in segment.window_clips]
        domain, vector = self.record.domain, video_vector(embeddings, segment.views)
        return _ScoredSegment(
            span=segment.span,
            score=float(self.calibration(np.asarray(raw.mean()))),
            view_scores=self.calibration(raw),
            windows=tuple(zip(segment.windows, self.calibration(np.array(windows)).tolist(), strict=True)),
            distance=None if domain is None else float(domain.distance(vector[None])[0]),
        )

    def _put_together(self, head: VideoHead, parts: Sequence["_ScoredSegment"]) -> VideoScore:
        weights = np.array([part.span.stop - part.span.start for part in parts], np.float64) / head.num_frames
        score = float(weights @ [part.score for part in parts])
        curve = [value for part in parts for _, value in part.windows]
        distances = [part.distance for part in parts if part.distance is not None]
        distance = float(np.median(distances)) if distances else None
        low, high = self.calibration.interval(score, float(weights**2 @ [part.view_variance for part in parts]))
        domain, fit = self.record.domain, self.calibration
        return VideoScore(
            score=score,
            low=low,
            high=high,
            mean=float(np.mean(curve)),
            harmonic_mean=harmonic_mean(np.array(curve), fit.scale),
            percentile_5=float(np.percentile(curve, _LOW_PERCENTILE)),
            view_scores=tuple((weights @ np.stack([part.view_scores for part in parts])).tolist()),
            segments=tuple(self._segment_score(part, head) for part in parts),
            curve=tuple(
                WindowScore(start_seconds=head.seconds(span.start), stop_seconds=head.seconds(span.stop), score=value)
                for part in parts
                for span, value in part.windows
            ),
            domain_distance=distance,
            out_of_domain=None if distance is None or domain is None else distance > domain.threshold,
            dataset=fit.dataset,
            score_name=fit.score_name,
            scale_low=fit.scale_low,
            scale_high=fit.scale_high,
            width=head.width,
            height=head.height,
            fps=head.fps,
            num_frames=head.num_frames,
            sha256=head.digest,
            decoder=head.decoder,
            notes=head.notes,
            model=self.model,
        )

    def _segment_score(self, part: "_ScoredSegment", head: VideoHead) -> SegmentScore:
        low, high = self.calibration.interval(part.score, part.view_variance)
        return SegmentScore(
            start_seconds=head.seconds(part.span.start),
            stop_seconds=head.seconds(part.span.stop),
            score=part.score,
            low=low,
            high=high,
            view_scores=tuple(part.view_scores.tolist()),
        )


@dataclass(frozen=True, kw_only=True)
class _ScoredSegment:
    span: Span
    score: float
    view_scores: NDArray[np.float64]
    windows: tuple[tuple[Span, float], ...]
    distance: float | None

    @property
    def view_variance(self) -> float:
        """Of the mean over views, in MOS²."""
        return view_variance(self.view_scores)
