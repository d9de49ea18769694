"""Charts as SVG elements with the colours and the font of the page."""

from __future__ import annotations

import html
import io
import re

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ectool.shown_text import visible

COLOURS = 6
SIZE = (4.2, 2.7)
"""Width and height in inches; the page stretches charts to its columns."""
FRAME = (0.14, 0.17, 0.815, 0.72)
"""Position of the axes: left, bottom, width, height, as shares of the size. The right margin has
room for half a tick label."""

# Matplotlib needs fixed colours. Each of these colours is replaced with a CSS value.
INK, FAINT, PAGE = "#a0b001", "#a0b002", "#a0b003"
PLACEHOLDERS = {INK: "currentColor", FAINT: "var(--line)", PAGE: "var(--page)"} | {
    f"#a0c00{number}": f"var(--arm-{number})" for number in range(COLOURS)
}


def ink(colour: int) -> str:
    """Return the placeholder of a line colour of the page."""
    return f"#a0c00{colour}"


def new_figure(title: str, axis: str) -> tuple[Figure, Axes]:
    """Return an empty chart in the style of the page."""
    figure = Figure(figsize=SIZE)
    figure.patch.set_visible(False)
    axes = figure.add_axes(FRAME)
    axes.patch.set_visible(False)
    axes.set_title(visible(title), color=INK, fontsize=10.5, loc="left", parse_math=False)
    axes.set_xlabel(axis, color=INK, fontsize=9.5)
    axes.tick_params(colors=INK, labelsize=9.5, length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def to_svg(figure: Figure, label: str) -> str:
    """Return a chart as an SVG element with the colours and the font of the page."""
    buffer = io.StringIO()
    # The salt makes ids inside the element reproducible, and unique on the page.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=no_metadata)
    return _element(buffer.getvalue(), label)


def _element(text: str, label: str) -> str:
    """Return the element of an SVG file without header, fixed size and global ids."""
    text = text[text.index("<svg") :]
    for pattern in (
        r"<metadata>.*?</metadata>",
        r"<style.*?</style>",
        r' xmlns(:\w+)?="[^"]*"',
        r"(?<=<g) id=\"[^\"]*\"",
        r'(?<=<svg) width="[^"]*" height="[^"]*"',
        r' version="[^"]*"',
        r"font-family: [^;\"]*; ?",
    ):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text.replace("<svg", f'<svg class="chart" role="img" aria-label="{html.escape(label)}"')
