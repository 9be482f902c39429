"""Panel: against what? SRCC of student, teacher and baselines, and whether the differences are certain."""

from pipeline.reporting.panels.shared.axes import Dot, dots
from pipeline.reporting.panels.shared.markup import figure, joined, note, side_by_side, table, with_interval
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.panels.shared.svg import MUTED, STUDENT, TEACHER, Marker
from pipeline.reporting.panels.shared.wording import bounds, decimal, listed, named, ordered, signed, title_of, verdict
from pipeline.reporting.run import Run, Scores
from pipeline.reporting.settings import ReportSettings

TITLE = "Against what"
ORDER = 10
_METRICS = (("krcc", "KRCC", 3), ("plcc_logistic4", "PLCC", 3), ("rmse_logistic4", "RMSE", 2))
_LOOKS = {"student": Marker(STUDENT, "o"), "teacher": Marker(TEACHER, "s")}


def section(run: Run, settings: ReportSettings) -> Section:
    """Every predictor with its interval, drawn and as a table; of which the student is surely better or worse."""
    metrics = ordered(run.metrics)
    entries = [
        Dot(
            title_of(name), value, scores.get("srcc_low"), scores.get("srcc_high"), _LOOKS.get(name, Marker(MUTED, "D"))
        )
        for name, scores in metrics.items()
        if (value := scores.get("srcc")) and name != "mean"
    ]
    drawn = figure(dots("comparison", entries, "SRCC"), "The line through a mark is its 95 % interval.")
    header = ["predictor", "SRCC", *(["student’s lead"] if run.differences else []), *(name for _, name, _ in _METRICS)]
    numbers = table(
        f"Agreement with {run.score_name} on the test split",
        header,
        [_row(run, name, scores) for name, scores in metrics.items()],
        wide=["KRCC", "PLCC", "RMSE"],
    )
    notes = [
        "Every predictor was fitted on the same training contents and is scored on the same test videos. Intervals "
        "come from resampling whole contents, since encodes of one source are not independent. PLCC and RMSE are those "
        "after the fitted 4-parameter logistic."
    ]
    if run.differences:
        notes.append(
            "The student’s lead is its SRCC minus the predictor’s, with the paired 95 % interval: where that does not "
            "hold 0, the two differ."
        )
    if len(run.parts) > 1:
        notes.append(f"Every number is the mean over the {len(run.parts)} data sets.")
    return Section(_sentence(run), joined([side_by_side(drawn, joined(map(note, notes))), numbers]))


def _row(run: Run, name: str, scores: Scores) -> list[str]:
    lead = run.differences.get(name)
    difference = with_interval(signed(lead.value), bounds(lead.low, lead.high)) if lead else "–"
    return [
        title_of(name),
        with_interval(decimal(scores.get("srcc")), bounds(scores.get("srcc_low"), scores.get("srcc_high"))),
        *([difference] if run.differences else []),
        *(decimal(scores.get(key), digits) for key, _, digits in _METRICS),
    ]


def _sentence(run: Run) -> str:
    others = [name for name in ordered(run.metrics) if name in run.differences]
    if not others:
        return "The predictors were not compared video by video, so no difference between them is certain."
    found = {name: verdict(run.differences[name]) for name in others}
    parts = [
        f"{text} {listed([named(name) for name in others if found[name] == kind])}"
        for kind, text in (
            ("better", "ranks better than"),
            ("worse", "ranks worse than"),
            ("open", "is not separable from"),
        )
        if kind in found.values()
    ]
    return f"On this test split the student {listed(parts)}."
