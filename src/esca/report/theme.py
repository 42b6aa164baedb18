"""Plots in the page's own style: SVG whose colours and letters follow the page's colour scheme.

Figures are drawn with stand-in colours that become CSS variables of ``page.css``, so one drawing
serves the light and the dark scheme; text stays text.
"""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from esca.report.extra import needed

INK, MUTED, LINE, SURFACE, ACCENT = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = tuple(f"#0601{index:02x}" for index in range(8))
"""Colours of a categorical series, in order; distinguishable with colour-blind eyes."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Markers that go with SERIES, so that no meaning hangs on colour alone."""

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    SURFACE: "--surface",
    ACCENT: "--accent",
} | {colour: f"--series-{index}" for index, colour in enumerate(SERIES)}

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelsize": 11.5,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "legend.fontsize": 11.5,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelsize": 11,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 11,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}

POINTS_AN_INCH = 72


class Plot:
    """A figure being drawn and, after the ``with`` block of :func:`plotted`, its ``svg``."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure
        self.svg = Markup()


@dataclass(frozen=True)
class Margins:
    """Room around the axes for labels and legends, in CSS pixels."""

    left: float
    right: float
    top: float
    bottom: float


def room(names: Iterable[str], size: float = 11) -> float:
    """Width of the longest of some tick labels in letters of ``size`` pixels, with a gap."""
    return 12 + 0.62 * size * max(map(len, names), default=0)


@contextmanager
def plotted(
    name: str, width: float, height: float, margins: Margins, description: str
) -> Iterator[Plot]:
    """A matplotlib figure of ``width`` x ``height`` CSS pixels, made to SVG when the block ends.

    ``margins``: set here, since matplotlib's own layout engines draw everything twice. ``name`` is
    unique on the page, for the drawing's ids; ``description`` is what a screen reader says.
    """
    matplotlib = needed("matplotlib")
    figures = needed("matplotlib.figure")
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        plot = Plot(figures.Figure((width / POINTS_AN_INCH, height / POINTS_AN_INCH)))
        plot.figure.subplots_adjust(
            left=margins.left / width,
            right=1 - margins.right / width,
            top=1 - margins.top / height,
            bottom=margins.bottom / height,
        )
        yield plot
        buffer = io.StringIO()
        silent = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        plot.figure.savefig(buffer, format="svg", metadata=silent)
    plot.svg = Markup(_inline(buffer.getvalue(), name, width, description))


def _inline(svg: str, name: str, width: float, description: str) -> str:
    """The bare ``svg`` element with ids of its own and the page's colours."""
    drawing = svg[svg.index("<svg") :]
    for unwanted in (r' xmlns(:\w+)?="[^"]*"', r"<metadata>.*?</metadata>", r"<style.*?</style>"):
        drawing = re.sub(unwanted, "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)
    drawing = re.sub(r'\bid="', f'id="{name}-', drawing)
    drawing = re.sub(r'href="#', f'href="#{name}-', drawing)
    drawing = re.sub(r"url\(#", f"url(#{name}-", drawing)
    drawing = drawing.replace("'DejaVu Sans'", "var(--font)")
    drawing = re.sub(r"\n *", "\n", drawing)
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, f"var({variable})")
    box = re.search(r'viewBox="[^"]*"', drawing)
    view = box.group() if box else ""
    opening = (
        f'<svg class="plot" role="img" aria-label="{escape(description)}" {view} '
        f'style="--width: {width:.0f}px">'
    )
    return re.sub(r"\A<svg[^>]*>", lambda _: opening, drawing).strip()
