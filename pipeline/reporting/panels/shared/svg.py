"""Figures as SVG inside the page: theme colours, real text, no ids that clash, the same bytes every time.

Matplotlib draws with marker colours that stand for the page's CSS variables and are replaced by them afterwards, so
that a figure follows the light and the dark theme and prints in black on white.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#010203", "#020304", "#030405", "#040506"
_BLUE, _VERMILION, _GREEN, _PURPLE, _ORANGE, _SKY = (f"#0506{index:02d}" for index in range(1, 7))
COLOURS = (_BLUE, _VERMILION, _GREEN, _PURPLE, _ORANGE, _SKY)
STUDENT, TEACHER = _BLUE, _VERMILION
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(COLOURS, start=1)},
}
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


@dataclass(frozen=True)
class Marker:
    """A series' look: colour and shape, so that colour is never needed to tell two apart.

    Attributes:
        colour: for matplotlib.
        shape: matplotlib's marker.
        dashes: matplotlib's line style.
    """

    colour: str
    shape: str
    dashes: str = "-"

    @property
    def swatch(self) -> Markup:
        """The shape as a small SVG for a legend in HTML."""
        return Markup(
            '<svg class="swatch" viewBox="-6 -6 12 12" aria-hidden="true"><path d="{}" fill="{}"/></svg>'
        ).format(_PATHS[self.shape], _VARIABLES[self.colour])


_PATHS = {
    "o": "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0",
    "s": "M-4,-4H4V4H-4z",
    "^": "M0,-5L5,4H-5z",
    "D": "M0,-5.5L5.5,0L0,5.5L-5.5,0z",
    "v": "M0,5L5,-4H-5z",
    "P": "M-2,-5H2V-2H5V2H2V5H-2V2H-5V-2H-2z",
    "X": "M-5,-2.5L-2.5,-5L0,-2.5L2.5,-5L5,-2.5L2.5,0L5,2.5L2.5,5L0,2.5L-2.5,5L-5,2.5L-2.5,0z",
}


def marker(index: int) -> Marker:
    """The look of the series ``index``; the first 42 all differ."""
    shapes = list(_PATHS)
    return Marker(COLOURS[index % len(COLOURS)], shapes[index % len(shapes)])


def draw(
    name: str, description: str, paint: Callable[[Any], None], *, width_inches: float = 4.4, height_inches: float = 3.2
) -> Markup:
    """Draws one set of axes.

    Args:
        name: unique on the page: letters, digits and hyphens.
        description: what a screen reader says.
        paint: draws into the matplotlib axes it is given.
        width_inches: of the figure; text of 9 pt suits 4.4 inches on a phone and on a desk.
        height_inches: of the figure.

    Returns:
        An ``<svg>`` element that scales to its container.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"svg.hashsalt": name})
        figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
        paint(figure.subplots())
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    return _inline(buffer.getvalue(), name, description)


def shortened(text: str, num_chars: int = 28) -> str:
    """The text, cut with an ellipsis so that a long name cannot squeeze the axes."""
    return text if len(text) <= num_chars else text[: num_chars - 1] + "…"


def _inline(document: str, name: str, description: str) -> Markup:
    """Turns matplotlib's document into an element that may stand beside others in one page."""
    element = document[document.index("<svg") :].strip()
    element = re.sub(r"<!--.*?-->\s*", "", element, flags=re.DOTALL)
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    element = re.sub(r"<style .*?</style>\s*", "", element, count=1, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*">', "<g>", element)
    element = re.sub(r"font-family: [^;\"]*; ?", "", element)
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r"url\(#", f"url(#{name}-", element)
    element = re.sub(r'href="#', f'href="#{name}-', element)
    for colour, variable in _VARIABLES.items():
        element = element.replace(colour, variable)
    view_box = re.search(r'viewBox="[^"]*"', element)
    opening = f'<svg class="plot" role="img" aria-label="{escape(description)}" {view_box.group(0) if view_box else ""}'
    xlink = ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return Markup(opening + xlink + element[element.index(">") + 1 :])
