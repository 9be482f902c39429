"""Puts the page together: every panel's section of a run, in order, in the template."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core import registry
from pipeline.core.files import replacing
from pipeline.reporting.run import Run, load_run
from pipeline.reporting.settings import ReportSettings

_HERE = Path(__file__).parent
_ROOM = "reporting.panels"


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
    text = render_page(load_run(root), settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def render_page(run: Run, settings: ReportSettings) -> str:
    """The page's HTML: the same run gives the same text."""
    panels = {name: registry.find(_ROOM, name) for name in registry.names(_ROOM)}
    sections = [
        {"id": name.replace("_", "-"), "title": panels[name].TITLE, "shown": shown}
        for name in sorted(panels, key=lambda name: (panels[name].ORDER, name))
        if (shown := panels[name].section(run, settings)) is not None
    ]
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(
        title=settings.title,
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        score_name=run.score_name,
        num_videos=len(run.predictions),
        sections=sections,
    )
