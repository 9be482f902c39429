"""Panel: what studies over many runs of this teacher and data set say.

``teachonce study`` leaves ``results/study/<name>.json`` (`Study`) beside a table. One of another teacher or data set
says nothing of this run, so it is named and not shown.
"""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel, FiniteFloat

from pipeline.core.agreement import Interval
from pipeline.core.files import file_digest
from pipeline.reporting.files import read_json
from pipeline.reporting.panels.shared.axes import Dot, dots
from pipeline.reporting.panels.shared.markup import figure, joined, note, side_by_side, table, with_interval
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.panels.shared.wording import bounds, counted, decimal, listed, signed, verdict
from pipeline.reporting.run import Run
from pipeline.reporting.settings import ReportSettings

TITLE = "Studies"
ORDER = 20


class Row(BaseModel):
    """A setting: mean over its ``n`` runs, difference from the base paired by seed, 95 % intervals, as far as known."""

    group: str
    n: int
    mean: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    difference: FiniteFloat | None
    difference_low: FiniteFloat | None
    difference_high: FiniteFloat | None


class Study(BaseModel):
    """A table, and what it is of: a digest is None where the runs had several, as with ever fewer labels."""

    name: str
    commit: str
    metric: str
    teacher_sha256: str | None
    videos_sha256: str | None
    labels_sha256: str | None
    base: dict[str, Any]
    rows: list[Row]


def section(run: Run, settings: ReportSettings) -> Section | None:
    """Each study of this teacher and data set; of the others, that they are left out. None where there is none.

    Raises:
        ReportError: a study is malformed.
    """
    paths = sorted((run.root / "results" / "study").glob("*.json"))
    studies = [study for path in paths if (study := read_json(path, Study)) is not None]
    shown = [study for study in studies if _is_of(study, run)]
    others = [study.name for study in studies if study not in shown]
    left_out = f"Left out, since of another teacher or data set: {listed(others)}."
    if not shown:
        return Section(left_out) if others else None
    body = [*(_study(*numbered) for numbered in enumerate(shown)), *([note(left_out)] if others else [])]
    return Section(_sentence([row for study in shown for row in study.rows]), joined(body))


def _is_of(study: Study, run: Run) -> bool:
    labels = run.root / "data" / "labels.csv"
    return (
        None not in (study.teacher_sha256, study.videos_sha256)
        and study.teacher_sha256 == run.teacher.get("weights_sha256")
        and study.videos_sha256 == run.dataset_digest
        and (study.labels_sha256 is None or (labels.exists() and study.labels_sha256 == file_digest(labels)))
    )


def _lead(row: Row) -> Interval | None:
    if row.difference is None or row.difference_low is None or row.difference_high is None:
        return None
    return Interval(value=row.difference, low=row.difference_low, high=row.difference_high)


def _sentence(rows: Sequence[Row]) -> str:
    leads = {row.group: lead for row in rows if (lead := _lead(row)) is not None}
    certain = {group: lead for group, lead in leads.items() if verdict(lead) != "open"}
    text = f"Of {counted(len(leads), 'difference')} measured over many runs with this teacher and data set, "
    text += f"{len(certain)} {'is' if len(certain) == 1 else 'are'} clear of zero"
    if certain:
        largest = max(certain, key=lambda group: abs(certain[group].value))
        text += f"; the largest is that of {largest}, {signed(certain[largest].value)}"
    return f"{text}."


def _study(place: int, study: Study) -> Markup:
    name, key = study.name.replace("_", " "), study.metric.rpartition(":")[2]
    what = "SRCC" if key in ("student", "student.srcc") else key.replace("_", " ")
    entries = [Dot(row.group, row.mean, row.low, row.high) for row in study.rows]
    cells = [
        [
            row.group,
            with_interval(decimal(row.mean), bounds(row.low, row.high)),
            "–"
            if row.difference is None
            else with_interval(signed(row.difference), bounds(row.difference_low, row.difference_high)),
            str(row.n),
        ]
        for row in study.rows
    ]
    base = listed(
        [f"{key.rpartition('.')[2].replace('_', ' ')} = {_worded(value)}" for key, value in study.base.items()]
    )
    caption = f"Means over runs; differences, paired by seed, from {base}" if base else "Means over runs"
    numbers = table(caption, ["setting", what, "difference", "runs"], cells, wide=["runs"])
    drawn = figure(dots(f"studies-{place}", entries, what), "Means over runs, with 95 % intervals.")
    heading = Markup("<h3>{}</h3>").format(name[:1].upper() + name[1:])
    return joined([heading, side_by_side(drawn, numbers), note(f"Made at commit {study.commit[:12]}.")])


def _worded(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
