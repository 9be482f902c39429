"""Puts the page together from a run."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.files import replacing
from pipeline.reporting.panels import breakdown, calibration, identity, rate_quality, scatter, summary
from pipeline.reporting.panels.comparison import _comparison_parts
from pipeline.reporting.panels.cost import _cost_parts
from pipeline.reporting.panels.shared import wording
from pipeline.reporting.panels.shared.axes import codec_markers, score_limits
from pipeline.reporting.panels.shared.svg import Marker
from pipeline.reporting.panels.training import _training_parts
from pipeline.reporting.panels.worst import _worst_parts
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run, load_run
from pipeline.reporting.settings import ReportSettings

_HERE = Path(__file__).parent


def write_report(root: Path, settings: ReportSettings, path: Path) -> None:
    """Writes the report of a run as one HTML file.

    Args:
        root: the project's root, which has ``data/``, ``models/`` and ``results/``.
        settings: the section ``report`` of ``params.yaml``.
        path: of the page; its folder is made when missing.

    Raises:
        ReportError: the evaluation's files are missing, or a file is malformed.
        ManifestError: a table of ``data/`` is malformed.
        CacheError: a store cannot be opened.
    """
    text = render_page(load_run(root), settings, identity.git_revision(root))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def render_page(run: Run, settings: ReportSettings, revision: str | None) -> str:
    """The page's HTML: the same run and revision give the same text."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"decimal": wording.decimal, "duration": wording.duration}
    markers = codec_markers(run.predictions)
    parts: dict[str, Any] = {
        "title": settings.title,
        "style": Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        "score_name": run.score_name,
        "num_videos": len(run.predictions),
        "paragraph": summary.paragraph(run),
        "big_numbers": summary.big_numbers(run),
        "datasets": [_dataset_part(run, *numbered, markers) for numbered in enumerate(run.datasets)],
        **_comparison_parts(run),
        **_worst_parts(run, settings.worst),
        **_training_parts(run),
        **_cost_parts(run),
        "revision": revision,
        "versions": identity.versions(),
        "digests": identity.digests(run),
        "fingerprint": identity.teacher_fingerprint(run),
        "student_settings": identity.student_settings(run),
    }
    return environment.get_template("page.html.j2").render(parts)


def _dataset_part(run: Run, index: int, dataset: str, markers: dict[str, Marker]) -> dict[str, Any]:
    """Everything about one data set's scores; data sets share no scale, so they share no axes."""
    predictions = [row for row in run.predictions if row.dataset == dataset]
    score_name = run.score_name_of(dataset)
    levels = breakdown.by_level(predictions)
    contents, num_contents = rate_quality.rate_quality_contents(predictions)
    limits = score_limits(predictions)
    by_content: dict[str, list[Prediction]] = {}
    for row in predictions:
        by_content.setdefault(row.content, []).append(row)
    found = breakdown.codecs_of(predictions)
    has_teacher = any(row.teacher is not None for row in predictions)
    return {
        "dataset": dataset,
        "score_name": score_name,
        "codec_legend": {codec: look.swatch for codec, look in markers.items() if codec in found},
        "student_scatter": scatter.scatter(f"student-{index}", "student", predictions, markers, score_name),
        "teacher_scatter": (
            scatter.scatter(f"teacher-{index}", "teacher", predictions, markers, score_name) if has_teacher else None
        ),
        "codec_groups": breakdown.by_codec(predictions),
        "level_groups": levels,
        "level_figure": breakdown.level_errors(f"levels-{index}", levels, markers),
        "rate_figures": {
            content: rate_quality.rate_quality(f"rate-{index}-{place}", by_content[content], markers, limits)
            for place, content in enumerate(contents)
        },
        "num_contents": num_contents,
        "over_rate": rate_quality.has_rates(predictions),
        "intervals": summary.intervals(predictions, run.scale_length(dataset)),
        "calibration_figure": calibration.calibration(
            f"calibrated-{index}", calibration.reliability(predictions), score_name
        ),
        "calibration": calibration._calibration(run, dataset),
    }
