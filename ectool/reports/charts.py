"""Charts as SVG to put into a page, in the page's own colours, light or dark."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ectool.reports.pictures import COLORMAP

Line = tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]
"""Positions and values."""

ARM_COLOURS = 6
DASHES = ((), (6.0, 2.5), (1.5, 2.0), (6.0, 2.0, 1.5, 2.0))
"""Dash patterns in points; arms differ by colour and by pattern."""
SIZE = (4.2, 2.7)
"""Width and height in inches; the page stretches charts to its columns."""
FRAME = (0.14, 0.17, 0.845, 0.72)
"""Where the axes lie: left, bottom, width, height, as shares of the size."""

# The renderer wants fixed colours, the page decides them: these stand for CSS values.
INK, FAINT, PAGE = "#a0b001", "#a0b002", "#a0b003"
STAND_INS = {INK: "currentColor", FAINT: "var(--line)", PAGE: "var(--page)"} | {
    f"#a0c00{number}": f"var(--arm-{number})" for number in range(ARM_COLOURS)
}


def arm_style(number: int) -> tuple[int, tuple[float, ...]]:
    """Return the number of an arm's colour and its dash pattern."""
    return number % ARM_COLOURS, DASHES[number % len(DASHES)]


def line_chart(
    groups: Sequence[tuple[int, Sequence[Line]]],
    *,
    title: str,
    label: str,
    axis: str,
    percent: bool,
    mark: float | None = None,
) -> str:
    """Draw groups of lines: each line thin, the mean of the group thick.

    Args:
        groups: Number of the arm, which gives the style, and one line per seed.
        title: Title.
        label: Text for people who do not see the chart; no two charts of a page share one.
        axis: Name of the horizontal axis.
        percent: Whether values are shares, to be shown from 0 to 100.
        mark: Position of a vertical line.

    Returns:
        An `<svg>` element.
    """
    figure, axes = _figure(title, axis)
    if mark is not None:
        axes.axvline(mark, color=FAINT, linewidth=1.2, dashes=(2, 2))
    for number, lines in groups:
        colour, dashes = arm_style(number)
        style = (0, dashes or None)
        ink = f"#a0c00{colour}"
        for x, y in lines if len(lines) > 1 else ():
            axes.plot(x, _scaled(y, percent), color=ink, linestyle=style, linewidth=0.7, alpha=0.45)
        x, y = _mean(lines, percent)
        marker = "o" if len(x) == 1 else ""
        axes.plot(x, y, color=ink, linestyle=style, linewidth=2, marker=marker)
    if percent:
        axes.set_ylim(0, 100)
    else:
        axes.set_ylim(bottom=0)
    return _svg(figure, label)


def _scaled(values: Float[np.ndarray, "n"], percent: bool) -> Float[np.ndarray, "n"]:
    return values * 100 if percent else values


def _mean(lines: Sequence[Line], percent: bool) -> Line:
    """Return the mean of lines as far as the shortest goes."""
    length = min(len(x) for x, _ in lines)
    values = np.mean([y[:length] for _, y in lines], axis=0)
    return lines[0][0][:length], _scaled(values, percent)


def density_chart(
    shares: Float[np.ndarray, "rounds bins"],
    quantiles: Float[np.ndarray, "rounds 3"],
    edges: Sequence[float],
    *,
    title: str,
    label: str,
    logarithmic: bool = False,
) -> str:
    """Draw a histogram for each round as a column of colours, with three quantiles as lines.

    Args:
        shares: Share of the samples in each bin.
        quantiles: Low, middle and high quantile of each round.
        edges: Edges of the bins, evenly spaced, or evenly in the logarithm.
        title: Title.
        label: Text for people who do not see the chart; no two charts of a page share one.
        logarithmic: Whether the vertical axis is logarithmic (base 2).

    Returns:
        An `<svg>` element.
    """
    figure, axes = _figure(title, "round")
    axes.grid(visible=False)
    place = np.log2 if logarithmic else np.asarray
    low, high = float(place(edges[0])), float(place(edges[-1]))
    rounds = len(shares)
    axes.imshow(
        np.ma.masked_equal(shares.T, 0),
        origin="lower",
        aspect="auto",
        interpolation="none",
        cmap=COLORMAP,
        extent=(0.5, rounds + 0.5, low, high),
    )
    positions = np.arange(1, rounds + 1)
    for values, width in zip(quantiles.T, (0.9, 1.8, 0.9), strict=True):
        clipped = np.clip(values, edges[0], edges[-1])
        _outlined(axes, positions, place(clipped), width)
    if logarithmic:
        ticks = range(round(low), round(high) + 1, 2)
        axes.set_yticks(list(ticks), [f"{2.0**tick:g}" for tick in ticks])
    return _svg(figure, label)


def _outlined(axes: Axes, x: np.ndarray, y: np.ndarray, width: float) -> None:
    """Draw a line that can be seen on any colour."""
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, y, color=PAGE, linewidth=width + 2, marker=marker, markersize=6)
    axes.plot(x, y, color=INK, linewidth=width, marker=marker, markersize=4)


def _figure(title: str, axis: str) -> tuple[Figure, Axes]:
    """Return an empty chart in the house's style."""
    figure = Figure(figsize=SIZE)
    figure.patch.set_visible(False)
    axes = figure.add_axes(FRAME)
    axes.patch.set_visible(False)
    axes.set_title(title, color=INK, fontsize=10.5, loc="left")
    axes.set_xlabel(axis, color=INK, fontsize=9.5)
    axes.tick_params(colors=INK, labelsize=9.5, length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def _svg(figure: Figure, label: str) -> str:
    """Return a chart as an element that takes its colours and its font from the page."""
    buffer = io.StringIO()
    # Names inside the element are made from the salt: the same each time, and unique in a page.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=unsaid)
    return _element(buffer.getvalue(), label)


def _element(text: str, label: str) -> str:
    """Turn an SVG file into an element of a page: no header, no fixed size, no global names."""
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
    for stand_in, value in STAND_INS.items():
        text = text.replace(stand_in, value)
    return text.replace("<svg", f'<svg class="chart" role="img" aria-label="{html.escape(label)}"')
