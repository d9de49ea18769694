"""Charts of the page as SVG, in the colours of the page's theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ectool.reports.page.images import COLORMAP
from ectool.reports.page.svg import COLOURS, FAINT, INK, PAGE, ink, new_figure, to_svg
from ectool.reports.plotting import STEPS, Line, mean_line, percents, whiskers
from ectool.types import Estimate

DASHES = ((), (6.0, 2.5), (1.5, 2.0), (6.0, 2.0, 1.5, 2.0))
"""Dash patterns in points; lines differ in colour and pattern."""
MAX_SHADED = 4
"""Groups whose intervals are shaded; more shades hide each other."""
MARKERS = ("o", "s", "^", "D")
MARK: Mapping[str, Any] = {"color": INK, "linewidth": 0.8, "dashes": (2, 3)}
"""Style of reference lines."""


@dataclass(frozen=True)
class Curve:
    """Values at positions with their intervals; bounds are NaN without an interval."""

    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    low: Float[np.ndarray, "n"]
    high: Float[np.ndarray, "n"]


def group_style(number: int) -> tuple[int, tuple[float, ...]]:
    """Return the number of the colour, and the dash pattern, of a group of models or an arm."""
    return number % COLOURS, DASHES[number % len(DASHES)]


def line_chart(
    groups: Sequence[tuple[int, Sequence[Line]]],
    *,
    title: str,
    label: str,
    axis: str,
    percent: bool,
    mark: float | None = None,
) -> str:
    """Draw groups of lines: thin lines, and the thick mean of each group.

    Args:
        groups: Number of the group, which sets the style, and one line per seed.
        title: Title.
        label: Description for screen readers; unique on the page.
        axis: Name of the horizontal axis.
        percent: Whether values are shares, which are drawn from 0 to 100.
        mark: Position of a vertical line.

    Returns:
        An `<svg>` element.
    """
    figure, axes = new_figure(title, axis)
    if mark is not None:
        axes.axvline(mark, **MARK)
    for number, lines in groups:
        _draw_group(axes, number, lines, percent=percent)
    axes.set_ylim(0, 100 if percent else None)
    return to_svg(figure, label)


def _draw_group(axes: Axes, number: int, lines: Sequence[Line], *, percent: bool) -> None:
    """Draw the lines of a group, if there are several, and their mean."""
    colour, dashes = group_style(number)
    style = (0, dashes or None)
    for x, y in lines if len(lines) > 1 else ():
        values = _scaled(y, percent)
        axes.plot(x, values, color=ink(colour), linestyle=style, linewidth=0.7, alpha=0.45)
    x, y = mean_line(lines)
    marker = "o" if len(x) == 1 else ""
    values = _scaled(y, percent)
    axes.plot(x, values, color=ink(colour), linestyle=style, linewidth=2, marker=marker)


def _scaled(values: Float[np.ndarray, "n"], percent: bool) -> Float[np.ndarray, "n"]:
    return values * 100 if percent else values


def density_chart(
    shares: Float[np.ndarray, "rounds bins"],
    quantiles: Float[np.ndarray, "rounds 3"],
    edges: Sequence[float],
    *,
    title: str,
    label: str,
    logarithmic: bool = False,
) -> str:
    """Draw the histogram of each round as a column of colours, with three quantiles as lines.

    Args:
        shares: Share of the samples in each bin.
        quantiles: Low, middle and high quantile of each round.
        edges: Edges of the bins, evenly spaced, or evenly in the logarithm.
        title: Title.
        label: Description for screen readers; unique on the page.
        logarithmic: Whether the vertical axis is logarithmic (base 2).

    Returns:
        An `<svg>` element.
    """
    figure, axes = new_figure(title, "round")
    place = np.log2 if logarithmic else np.asarray
    low, high = float(place(edges[0])), float(place(edges[-1]))
    _draw_shares(axes, shares, (low, high))
    positions = np.arange(1, len(shares) + 1)
    for values, width in zip(quantiles.T, (0.9, 1.8, 0.9), strict=True):
        clipped = np.clip(values, edges[0], edges[-1])
        _outlined(axes, positions, place(clipped), width)
    if logarithmic:
        ticks = range(round(low), round(high) + 1, 2)
        axes.set_yticks(list(ticks), [f"{2.0**tick:g}" for tick in ticks])
    return to_svg(figure, label)


def _draw_shares(
    axes: Axes, shares: Float[np.ndarray, "rounds bins"], ends: tuple[float, float]
) -> None:
    """Draw a column of colours for each round; empty bins stay blank."""
    axes.grid(visible=False)
    axes.imshow(
        np.ma.masked_equal(shares.T, 0),
        origin="lower",
        aspect="auto",
        interpolation="none",
        cmap=COLORMAP,
        extent=(0.5, len(shares) + 0.5, *ends),
    )


def _outlined(axes: Axes, x: np.ndarray, y: np.ndarray, width: float) -> None:
    """Draw a line that is visible on any colour."""
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, y, color=PAGE, linewidth=width + 2, marker=marker, markersize=6)
    axes.plot(x, y, color=INK, linewidth=width, marker=marker, markersize=4)


def curve_chart(
    groups: Sequence[tuple[int, Sequence[Curve]]],
    *,
    title: str,
    label: str,
    axis: str,
    diagonal: bool = False,
) -> str:
    """Draw groups of shares like `line_chart`, with intervals if there are few groups.

    Args:
        groups: Number of the group, which sets the style, and its curves.
        title: Title.
        label: Description for screen readers; unique on the page.
        axis: Name of the horizontal axis.
        diagonal: Whether to draw the line of equal value and position; both are shares.

    Returns:
        An `<svg>` element.
    """
    figure, axes = new_figure(title, axis)
    if diagonal:
        axes.plot([0, 1], [0, 100], **MARK)
    for number, curves in groups:
        _draw_group(axes, number, [(curve.x, curve.y) for curve in curves], percent=True)
        if len(curves) == 1 and len(groups) <= MAX_SHADED:
            _shade(axes, number, curves[0])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
    axes.set_ylim(0, 100)
    return to_svg(figure, label)


def _shade(axes: Axes, number: int, curve: Curve) -> None:
    shade = ink(group_style(number)[0])
    low, high = 100 * curve.low, 100 * curve.high
    axes.fill_between(curve.x, low, high, color=shade, alpha=0.13, linewidth=0)


def scatter_chart(
    groups: Sequence[tuple[int, Sequence[tuple[Estimate, Estimate]]]],
    *,
    title: str,
    label: str,
    axis: str,
    percent: tuple[bool, bool],
) -> str:
    """Draw models by two metrics, with intervals and the number of the group.

    Args:
        groups: Number of the group, counted from 0, and the metrics of each of its models.
        title: Title, which names the vertical metric.
        label: Description for screen readers; unique on the page.
        axis: Name of the horizontal metric.
        percent: Whether the horizontal and the vertical metric are shares.

    Returns:
        An `<svg>` element.
    """
    figure, axes = new_figure(title, axis)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    for number, points in groups:
        for pair in points:
            x, y = (percents([v], is_share) for v, is_share in zip(pair, percent, strict=True))
            _draw_point(axes, number, x, y)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
    return to_svg(figure, label)


def _draw_point(
    axes: Axes, number: int, x: Float[np.ndarray, "3 1"], y: Float[np.ndarray, "3 1"]
) -> None:
    """Draw a model with its intervals and the number of its group."""
    colour, marker = ink(group_style(number)[0]), MARKERS[number % len(MARKERS)]
    axes.errorbar(x[0], y[0], whiskers(*y), whiskers(*x), color=colour, elinewidth=0.8, alpha=0.55)
    axes.plot(x[0], y[0], color=colour, marker=marker, markersize=6, linestyle="")
    place = (x[0, 0], y[0, 0])
    axes.annotate(str(number + 1), place, (6, 4), textcoords="offset points", color=INK)
