"""Panel: is the student good? One sentence and a few numbers to read from afar."""

from collections.abc import Iterator
from typing import NamedTuple

from markupsafe import Markup

from pipeline.reporting.panels.shared import wording
from pipeline.reporting.panels.shared.markup import joined
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.run import Run
from pipeline.reporting.settings import ReportSettings

TITLE = "In short"
ORDER = 0
_BESIDE_TEACHER = {
    "better": "above its teacher’s {}",
    "worse": "below its teacher’s {}",
    "open": "which this test split cannot separate from its teacher’s {}",
}


class _Number(NamedTuple):
    name: str
    value: str
    beside: str = ""


def section(run: Run, settings: ReportSettings) -> Section:
    """The student's SRCC beside its teacher's; then scores, error, intervals and size as large numbers."""
    entry = Markup('<div><dt>{}</dt><dd class="value">{}</dd><dd class="interval">{}</dd></div>')
    boxes = joined(entry.format(*number) for number in _numbers(run))
    return Section(_sentence(run), Markup('<dl class="numbers">\n{}\n</dl>').format(boxes))


def _sentence(run: Run) -> str:
    contents = len({row.content for row in run.predictions if row.content})
    of = f" of {wording.counted(contents, 'content')} that training never saw" if contents else ""
    text = (
        f"On {wording.counted(len(run.predictions), 'test video')}{of}, the student ranks videos by {run.score_name} "
        f"with a Spearman correlation (SRCC) of {wording.with_bounds(run.metrics['student'])}"
    )
    teacher, lead = run.metrics.get("teacher"), run.differences.get("teacher")
    if teacher and teacher.get("srcc") is not None:
        beside = _BESIDE_TEACHER[wording.verdict(lead)] if lead else "beside its teacher’s {}"
        text += f", {beside.format(wording.decimal(teacher['srcc'], 2))}"
    return text + "."


def _numbers(run: Run) -> Iterator[_Number]:
    yield _srcc(run, "student", "student’s SRCC")
    if run.metrics.get("teacher", {}).get("srcc") is not None:
        yield _srcc(run, "teacher", "teacher’s SRCC")
    simple = {
        name: value
        for name, scores in run.metrics.items()
        if not name.startswith(wording.NEEDS_TEACHER) and (value := scores.get("srcc")) is not None
    }
    if simple:
        best = max(simple, key=lambda name: (simple[name], name))
        yield _srcc(run, best, f"best without a teacher: {wording.title_of(best)}")
    student = run.metrics["student"]
    if len(run.parts) == 1 and (rmse := student.get("rmse_raw")) is not None:
        error, unit = wording.points(rmse, run.parts[0]).split(" ", 1)
        yield _Number("typical error (RMSE)", error, unit)
    if (coverage := student.get("interval_coverage")) is not None:
        yield _Number("true scores in their intervals", wording.percent(coverage), f"promised: {wording.percent(0.95)}")
    sizes = [run.stage_metrics.get(stage, {}).get("parameters") for stage in ("distill", "adapt")]
    if isinstance(sizes[0], int | float):
        beside = f"teacher: {wording.amount(sizes[1])}" if isinstance(sizes[1], int | float) else ""
        yield _Number("parameters of the student", wording.amount(sizes[0]), beside)


def _srcc(run: Run, predictor: str, name: str) -> _Number:
    scores = run.metrics[predictor]
    ends = wording.bounds(scores.get("srcc_low"), scores.get("srcc_high"), 2)
    return _Number(name, wording.decimal(scores["srcc"], 2), f"{wording.percent(0.95)}: {ends}" if ends else "")
