"""What a panel gives to the page."""

from collections.abc import Callable
from dataclasses import dataclass, field

from markupsafe import Markup

from pipeline.reporting.run import Part, Run


@dataclass(frozen=True)
class Section:
    """A section of the page, below its heading.

    Attributes:
        conclusion: one sentence: what to conclude from this run's numbers.
        body: figures, tables and notes.
    """

    conclusion: str
    body: Markup = field(default_factory=Markup)


def by_dataset(run: Run, show: Callable[[Part], Section | None]) -> Section | None:
    """Joins a section of each data set, under a heading of its own where there are several.

    Args:
        run: of the page.
        show: gives the section of one data set, or None where it does not apply.
    """
    shown = [(part, section) for part in run.parts if (section := show(part)) is not None]
    if len(run.parts) == 1 or not shown:
        return shown[0][1] if shown else None
    sentences = [f"{part.dataset}: {section.conclusion.removesuffix('.')}" for part, section in shown]
    heading = Markup("<h3>{}: {}</h3>\n")
    bodies = [heading.format(part.dataset, part.score_name) + section.body for part, section in shown]
    return Section("; ".join(sentences) + ".", Markup().join(bodies))
