"""Puts the page together from a run."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.params import ReportSettings
from pipeline.records import replacing
from pipeline.reporting import breakdown, curves, figures, frames, identity, summary
from pipeline.reporting.files import Table
from pipeline.reporting.originals import middle_frames
from pipeline.reporting.predictions import Prediction
from pipeline.reporting.run import Run, load_run
from pipeline.reporting.svg import Marker

_HERE = Path(__file__).parent
_MAX_TABLE_ROWS = 200
_METRICS = (
    ("krcc", "KRCC", 3),
    ("plcc_raw", "PLCC, raw", 3),
    ("plcc_logistic4", "PLCC, logistic", 3),
    ("rmse_raw", "RMSE, raw", 2),
    ("rmse_logistic4", "RMSE, logistic", 2),
)


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
    environment.filters |= {"decimal": summary.decimal, "duration": summary.duration}
    markers = figures.codec_markers(run.predictions)
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


def _comparison_parts(run: Run) -> dict[str, Any]:
    metrics = summary.ordered(run.metrics)
    titles = {name: summary.title_of(name) for name in metrics}
    rows = [
        [
            titles[name],
            summary.decimal(scores.get("srcc")),
            summary.interval(scores),
            *([summary.difference(run.differences.get(name))] if run.differences else []),
            *(summary.decimal(scores.get(key), digits) for key, _, digits in _METRICS),
        ]
        for name, scores in metrics.items()
    ]
    lead = ["student’s lead"] if run.differences else []
    return {
        "comparison_figure": figures.comparison(metrics, titles),
        "metric_header": ["predictor", "SRCC", "95 % interval", *lead, *(name for _, name, _ in _METRICS)],
        "metric_rows": rows,
        "has_lead": bool(run.differences),
        "study_table": _shown(run.comparison),
    }


def _dataset_part(run: Run, index: int, dataset: str, markers: dict[str, Marker]) -> dict[str, Any]:
    """Everything about one data set's scores; data sets share no scale, so they share no axes."""
    predictions = [row for row in run.predictions if row.dataset == dataset]
    score_name = run.score_name_of(dataset)
    levels = breakdown.by_level(predictions)
    contents, num_contents = figures.rate_quality_contents(predictions)
    limits = figures.score_limits(predictions)
    by_content: dict[str, list[Prediction]] = {}
    for row in predictions:
        by_content.setdefault(row.content, []).append(row)
    found = breakdown.codecs_of(predictions)
    has_teacher = any(row.teacher is not None for row in predictions)
    return {
        "dataset": dataset,
        "score_name": score_name,
        "codec_legend": {codec: look.swatch for codec, look in markers.items() if codec in found},
        "student_scatter": figures.scatter(f"student-{index}", "student", predictions, markers, score_name),
        "teacher_scatter": (
            figures.scatter(f"teacher-{index}", "teacher", predictions, markers, score_name) if has_teacher else None
        ),
        "codec_groups": breakdown.by_codec(predictions),
        "level_groups": levels,
        "level_figure": figures.level_errors(f"levels-{index}", levels, markers),
        "rate_figures": {
            content: figures.rate_quality(f"rate-{index}-{place}", by_content[content], markers, limits)
            for place, content in enumerate(contents)
        },
        "num_contents": num_contents,
        "over_rate": figures.has_rates(predictions),
        "intervals": summary.intervals(predictions, run.scale_length(dataset)),
        "calibration_figure": figures.calibration(
            f"calibrated-{index}", breakdown.reliability(predictions), score_name
        ),
        "calibration": _calibration(run, dataset),
    }


def _calibration(run: Run, dataset: str) -> dict[str, str]:
    """The parameters of the data set's stored calibration; of the only one where the data set is not known."""
    stored = _mapping(run.student.get("calibrations"))
    chosen = stored.get(dataset) or (next(iter(stored.values())) if not dataset and len(stored) == 1 else None)
    return identity.flattened({name: _rounded(value) for name, value in _mapping(chosen).items()})


def _rounded(value: Any) -> Any:
    """A number as people read it; the model has all its digits."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _worst_parts(run: Run, count: int) -> dict[str, Any]:
    view_set = frames.view_set_to_show(run.clips) if run.clips is not None else None
    worst = breakdown.worst(run.predictions, count, run.scale_length)
    originals = middle_frames([row.video for row in worst if row.video is not None], run.data_root)
    rows = []
    for row in worst:
        strip = frames.strip_of(run.clips, view_set, row.video_id) if run.clips is not None and view_set else None
        original = originals.get(row.video_id, "data/videos.csv is not there")
        whole = None if isinstance(original, str) else frames.as_strip([original])
        rows.append({"row": row, "strip": strip, "whole": whole, "why_not": original if whole is None else None})
    policy = frames.policy_of(run.clips, view_set) if run.clips is not None and view_set else None
    return {"worst": rows, "view_set": view_set, "policy": policy}


def _training_parts(run: Run) -> dict[str, Any]:
    drawn = []
    for stage, table in run.curves.items():
        best = run.stage_metrics.get(stage, {}).get("best_epoch")
        drawn += curves.training_curves(stage, table, best if isinstance(best, int | float) else None)
    few_labels = run.few_labels
    return {
        "training_figures": drawn,
        "few_labels_figures": curves.few_label_curves(few_labels) if few_labels and few_labels.rows else [],
        "few_labels_table": _shown(few_labels),
    }


def _cost_parts(run: Run) -> dict[str, Any]:
    rows = [
        (stage, name.replace("_", " "), summary.amount(value))
        for stage, values in run.stage_metrics.items()
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    longest = max(run.seconds.values(), default=0.0) or 1.0
    times = [(stage, value, round(100.0 * value / longest, 1)) for stage, value in run.seconds.items()]
    return {"stage_numbers": rows, "stage_times": times, "total_seconds": sum(run.seconds.values())}


def _shown(table: Table | None) -> dict[str, Any] | None:
    """A table as the page prints it: at most 200 rows, numbers to four digits."""
    if table is None or not table.rows:
        return None
    rows = [list(map(_cell, row)) for row in table.rows[:_MAX_TABLE_ROWS]]
    names = {name: name.replace("_", " ") for name in table.header}
    words = [names[name] for name in table.header if table.numbers(name) is None]
    return {"header": list(names.values()), "words": words, "rows": rows, "num_rows": len(table.rows)}


def _cell(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return text
    short = len(text) <= 7 and abs(value) < 1e4
    return (text if short else summary.amount(value)).replace("-", "−")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
