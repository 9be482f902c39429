"""What every panel keeps, found by listing the folder; and a panel that is nothing but a new file."""

import re
import sys
from dataclasses import replace

import pytest
from markupsafe import Markup

from pipeline.core import registry
from pipeline.reporting import load_run, panels
from pipeline.reporting.page import render_page
from pipeline.reporting.panels.shared.section import Section
from pipeline.reporting.settings import ReportSettings

SETTINGS = ReportSettings(title="TeachOnce", worst=3)
NAMES = registry.names("reporting.panels")
THROW_AWAY = """
from pipeline.reporting.panels.shared.section import Section

TITLE = "A throw-away panel"
ORDER = 15


def section(run, settings):
    return Section(f"It counts {len(run.predictions)} videos.")
"""


@pytest.fixture(scope="module")
def sections(finished_run):
    """Panel → its section of the small run, which leaves no study."""
    run = load_run(finished_run)
    return {name: registry.find("reporting.panels", name).section(run, SETTINGS) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_panel_keeps_the_contract(sections, name):
    panel = registry.find("reporting.panels", name)
    assert panel.TITLE == panel.TITLE.strip() != ""
    assert isinstance(panel.ORDER, int | float)
    shown = sections[name]
    if shown is None:
        assert name == "studies", "the run has something for all others"
        return
    assert isinstance(shown, Section)
    assert isinstance(shown.body, Markup)
    assert re.fullmatch(r"[A-Z0-9].*[^.]\.", shown.conclusion)
    prefix = name.replace("_", "-")
    assert all(found.startswith(prefix) for found in re.findall(r'\bid="([^"]*)"', shown.body))


def test_a_conclusion_changes_with_the_numbers(finished_run, sections):
    run = load_run(finished_run)
    other = replace(
        run,
        predictions=[replace(row, student=100.0 - row.student, level="1") for row in run.predictions[:9]],
        metrics={**run.metrics, "student": {"srcc": -0.5}},
        differences={},
        seconds={"adapt": 1.0},
        stage_metrics={},
        student={"student": "another"},
    )
    for name in NAMES:
        after = registry.find("reporting.panels", name).section(other, SETTINGS)
        assert sections[name] is None or sections[name].conclusion != after.conclusion, name


def test_a_panel_is_one_new_file(finished_run, tmp_path, monkeypatch):
    tree = tmp_path / "reporting" / "panels"
    tree.mkdir(parents=True)
    (tree / "throw_away.py").write_text(THROW_AWAY, encoding="utf-8")
    for name in ("summary", "comparison", "identity"):
        (tree / f"{name}.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(registry, "_PIPELINE", tmp_path)
    monkeypatch.setattr(panels, "__path__", [*panels.__path__, str(tree)])
    try:
        page = render_page(load_run(finished_run), SETTINGS)
    finally:
        sys.modules.pop("pipeline.reporting.panels.throw_away", None)
    assert re.findall(r'<section id="([^"]*)">', page) == ["summary", "comparison", "throw-away", "identity"]
    assert '<a href="#throw-away">A throw-away panel</a>' in page
    assert "It counts 24 videos." in page
