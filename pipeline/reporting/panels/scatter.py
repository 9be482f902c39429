"""Panel: predicted and true scores, video by video."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from pipeline.core.agreement import srcc
from pipeline.evaluation.metrics.shared.logistic import logistic4
from pipeline.reporting.panels.shared.axes import codec_markers, codec_of, swatches
from pipeline.reporting.panels.shared.markup import figure, joined, legend, note, side_by_side
from pipeline.reporting.panels.shared.section import Section, by_dataset
from pipeline.reporting.panels.shared.svg import INK, MUTED, Marker, draw, shortened
from pipeline.reporting.panels.shared.wording import bias, decimal, points
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Part, Run
from pipeline.reporting.settings import ReportSettings

TITLE = "Predicted and true"
ORDER = 30
_LARGE_TEST_SPLIT = 600


def section(run: Run, settings: ReportSettings) -> Section | None:
    """A mark per test video, for the student and for the teacher; how far off the student is."""
    markers = codec_markers(run.predictions)
    return by_dataset(run, lambda part: _part(part, markers))


def _part(part: Part, markers: Mapping[str, Marker]) -> Section:
    errors = np.asarray([row.error for row in part.predictions])
    rmse = float(np.sqrt(np.mean(errors**2)))
    taught = [row for row in part.predictions if row.teacher is not None]
    drawn = [scatter("student", part.predictions, part, markers)]
    drawn += [scatter("teacher", taught, part, markers)] if taught else []
    text = "One mark per test video. The solid line is the fitted 4-parameter logistic, the dotted one is equality."
    body = [note(text), legend(swatches(dict(markers), part.predictions)), side_by_side(*drawn)]
    body += [] if taught else [note("The teacher has no scores of these videos.")]
    off = f"typically {points(rmse, part)} off (RMSE), and on average {bias(float(errors.mean()), part)}"
    return Section(f"The student’s scores are {off}.", joined(body))


def scatter(
    name: Literal["student", "teacher"], rows: Sequence[Prediction], part: Part, markers: Mapping[str, Marker]
) -> Markup:
    """Predicted against true scores by codec, with the fitted 4-parameter logistic and the line of equality.

    Args:
        name: whose predictions.
        rows: those of the data set that have one.
        part: the data set.
        markers: of the codecs.
    """
    x = np.asarray([getattr(row, name) for row in rows], dtype=np.float64)
    y = np.asarray([row.mos for row in rows], dtype=np.float64)
    codecs = np.asarray([codec_of(row) for row in rows])
    size, alpha = (8, 0.5) if len(rows) > _LARGE_TEST_SPLIT else (20, 0.8)

    def paint(axes: Any) -> None:
        for codec, look in markers.items():
            own = codecs == codec
            axes.scatter(x[own], y[own], s=size, color=look.colour, marker=look.shape, alpha=alpha, linewidths=0)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)))
        axes.plot(*fitted_logistic(x, y), color=INK, linewidth=1.8)
        axes.set_xlabel(f"predicted by the {name}")
        axes.set_ylabel(f"true {shortened(part.score_name, 36)}")

    described = f"{part.score_name}: true against predicted by the {name}, {len(rows)} videos"
    svg = draw(f"scatter-{name}-{part.key}", described, paint)
    rank = decimal(srcc(x, y), 2) if len(rows) > 1 else "–"
    return figure(svg, f"The {name}: SRCC {rank}.")


def fitted_logistic(prediction: np.ndarray, mos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 4-parameter logistic of the metrics, as a line: distinct predictions in order, and what they map to."""
    if len(prediction) < 2:
        return prediction, mos
    mapped = logistic4(prediction, mos)
    x, first = np.unique(prediction, return_index=True)
    return x, mapped[first]
