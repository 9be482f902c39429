import pytest
from markupsafe import Markup

from pipeline.reporting.panels.shared import markup

EVIL = "<b>&"


@pytest.mark.parametrize(
    "made",
    [
        markup.joined([EVIL, EVIL]),
        markup.note(EVIL),
        markup.with_interval(EVIL, EVIL),
        markup.table(EVIL, [EVIL, "n"], [[EVIL, EVIL]], words=["n"], wide=["n"]),
        markup.pairs({EVIL: EVIL}),
        markup.legend({EVIL: Markup("<i></i>"), "b": Markup("<i></i>")}),
        markup.figure(Markup("<svg></svg>"), EVIL),
    ],
)
def test_text_is_escaped(made):
    assert isinstance(made, Markup)
    assert "<b>" not in made
    assert "&lt;b&gt;&amp;" in made


def test_a_table_says_what_its_columns_hold():
    made = markup.table("c", ["who", "what", "n"], [["a", "b", "1"]], words=["what"], wide=["n"])
    assert '<tr><th scope="row">a</th><td class="word">b</td><td class="wide">1</td></tr>' in made


def test_a_single_name_needs_no_legend_and_an_empty_part_no_column():
    assert markup.legend({"a": Markup("<i></i>")}) == ""
    assert markup.side_by_side(markup.note("a"), Markup()).count("<div>") == 1
