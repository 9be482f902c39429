import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from pipeline.reporting.panels.shared import svg


def paint(axes):
    axes.plot([1, 2], [3, 4], color=svg.STUDENT, marker="o")
    axes.set_xlabel("a$b$_{ <script>alert(1)</script> #0072b2")


def test_is_well_formed_and_the_same_every_time():
    drawn = svg.draw("one", 'say "this" & <that>', paint)
    assert drawn == svg.draw("one", 'say "this" & <that>', paint)
    root = ElementTree.fromstring(drawn)
    assert root.attrib["aria-label"] == 'say "this" & <that>'
    assert "width" not in root.attrib
    assert "viewBox" in root.attrib


def test_text_of_the_data_stays_text():
    drawn = svg.draw("one", "", paint)
    assert "<script" not in drawn
    assert "a$b$_{ &lt;script&gt;" in drawn


def test_colours_follow_the_theme():
    drawn = svg.draw("one", "", paint)
    assert "var(--series-1)" in drawn
    assert "var(--ink)" in drawn
    assert not re.search(r"(stroke|fill): #", drawn)


def test_figures_share_no_id():
    ids = [set(re.findall(r'\bid="([^"]*)"', svg.draw(name, "", paint))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert all(name.startswith("one-") for name in ids[0])


def test_every_reference_is_defined():
    drawn = svg.draw("one", "", paint)
    defined = set(re.findall(r'\bid="([^"]*)"', drawn))
    used = set(re.findall(r"url\(#([^)]*)\)", drawn)) | set(re.findall(r'href="#([^"]*)"', drawn))
    assert used
    assert used <= defined


def test_a_users_matplotlib_settings_change_nothing():
    expected = svg.draw("one", "", paint)
    with matplotlib.rc_context({"lines.linewidth": 9.0, "axes.grid": False, "font.size": 30}):
        assert svg.draw("one", "", paint) == expected
        assert matplotlib.rcParams["lines.linewidth"] == 9.0


def test_forty_two_markers_differ_in_colour_and_shape():
    looks = [svg.marker(index) for index in range(42)]
    assert len({(look.colour, look.shape) for look in looks}) == 42
    assert len({look.shape for look in looks[:7]}) == 7
    for look in looks[:7]:
        ElementTree.fromstring(look.swatch)


@pytest.mark.parametrize(("text", "short"), [("abc", "abc"), ("a" * 40, "a" * 27 + "…")])
def test_shortened(text, short):
    assert svg.shortened(text) == short
