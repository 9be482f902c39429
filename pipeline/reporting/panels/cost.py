"""Panel: what it cost. What each stage did, and how long it took."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pipeline.reporting.panels.shared.markup import table
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.panels.shared.wording import amount, counted, duration, percent
from pipeline.reporting.run import STAGES, Run
from pipeline.reporting.settings import ReportSettings

TITLE = "Cost"
ORDER = 90
_COUNTS = {"videos": "video", "contents": "content", "rows": "clip", "epochs": "epoch", "predictions": "test video"}
_AMOUNTS = {"parameters": "parameters", "flops": "FLOPs per clip", "clips_per_second": "clips per second"}


def section(run: Run, settings: ReportSettings) -> Section | None:
    """A row per stage; the whole time, and the student's size beside its teacher's."""
    if not run.seconds and not run.stage_metrics:
        return None
    done = {**run.stage_metrics, "evaluate": {"predictions": len(run.predictions)}}
    longest = max(run.seconds.values(), default=0.0) or 1.0
    bar = Markup('{}<span class="bar" style="width: {}%"></span>')
    rows = [
        [stage, what(done.get(stage, {})), bar.format(duration(seconds), round(100 * seconds / longest))]
        for stage in STAGES
        for seconds in [run.seconds.get(stage, 0.0)]
    ]
    numbers = table(
        "Each stage when it last ran", ["stage", "what it did", "time"], rows, words=["what it did", "time"]
    )
    return Section(_sentence(run), numbers)


def what(metrics: Mapping[str, Any]) -> str:
    """The counts of a stage that a reader knows what to do with, in words."""
    parts = [counted(int(metrics[name]), noun) for name, noun in _COUNTS.items() if name in metrics]
    parts += [f"{amount(float(metrics[name]))} {words}" for name, words in _AMOUNTS.items() if name in metrics]
    if metrics.get("failed"):
        parts.append(f"{metrics['failed']} failed")
    return ", ".join(parts) or "–"


def _sentence(run: Run) -> str:
    parts = []
    if run.seconds:
        slowest = max(run.seconds, key=lambda stage: run.seconds[stage])
        total = sum(run.seconds.values())
        parts.append(
            f"the stages took {duration(total)} in all, {slowest} the longest with {duration(run.seconds[slowest])}"
        )
    student, teacher = (run.stage_metrics.get(stage, {}).get("parameters") for stage in ("distill", "adapt"))
    if student and teacher:
        parts.append(f"the student has {percent(student / teacher)} of its teacher’s {amount(teacher)} parameters")
    text = "; ".join(parts) or "no stage’s time is known"
    return text[0].upper() + text[1:] + "."
