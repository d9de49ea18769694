"""Charts to put into a page, in the page's own colours, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ectool.reports.content import Interval
from ectool.reports.pictures import COLORMAP
from ectool.reports.svg import COLOURS, FAINT, INK, PAGE, ink, new_figure, to_svg

Line = tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]
"""Positions and values."""

DASHES = ((), (6.0, 2.5), (1.5, 2.0), (6.0, 2.0, 1.5, 2.0))
"""Dash patterns in points; lines differ by colour and by pattern."""
MOST_SHADED = 4
"""Groups up to which intervals are shaded; more shades hide each other."""
MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Curve:
    """Values at positions, and their intervals, NaN where there are none."""

    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    low: Float[np.ndarray, "n"]
    high: Float[np.ndarray, "n"]


def arm_style(number: int) -> tuple[int, tuple[float, ...]]:
    """Return the number of the colour and the dash pattern of an arm, or group of models."""
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
    figure, axes = new_figure(title, axis)
    if mark is not None:
        axes.axvline(mark, color=FAINT, linewidth=1.2, dashes=(2, 2))
    for number, lines in groups:
        _draw_group(axes, number, lines, percent=percent)
    if percent:
        axes.set_ylim(0, 100)
    else:
        axes.set_ylim(bottom=0)
    return to_svg(figure, label)


def _draw_group(axes: Axes, number: int, lines: Sequence[Line], *, percent: bool) -> None:
    """Draw the lines of a group, if several, and their mean."""
    colour, dashes = arm_style(number)
    style = (0, dashes or None)
    for x, y in lines if len(lines) > 1 else ():
        values = _scaled(y, percent)
        axes.plot(x, values, color=ink(colour), linestyle=style, linewidth=0.7, alpha=0.45)
    x, y = _mean(lines, percent)
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, y, color=ink(colour), linestyle=style, linewidth=2, marker=marker)


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
    figure, axes = new_figure(title, "round")
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
    return to_svg(figure, label)


def _outlined(axes: Axes, x: np.ndarray, y: np.ndarray, width: float) -> None:
    """Draw a line that can be seen on any colour."""
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, y, color=PAGE, linewidth=width + 2, marker=marker, markersize=6)
    axes.plot(x, y, color=INK, linewidth=width, marker=marker, markersize=4)


def curve_chart(
    groups: Sequence[tuple[int, Sequence[Curve]]],
    *,
    title: str,
    label: str,
    axis: str,
    percent: bool,
    diagonal: bool = False,
) -> str:
    """Draw groups of curves like `line_chart`, and the interval of each where there is room.

    Args:
        groups: Number of the group, which gives the style, and its curves.
        title: Title.
        label: Text for people who do not see the chart; no two charts of a page share one.
        axis: Name of the horizontal axis.
        percent: Whether values are shares.
        diagonal: Whether to mark where values equal positions; both are shares then.

    Returns:
        An `<svg>` element.
    """
    figure, axes = new_figure(title, axis)
    if diagonal:
        axes.plot([0, 1], [0, 100], color=FAINT, linewidth=1.2, dashes=(2, 2))
    for number, curves in groups:
        _draw_group(axes, number, [(curve.x, curve.y) for curve in curves], percent=percent)
        if len(curves) == 1 and len(groups) <= MOST_SHADED:
            low, high = (_scaled(v, percent) for v in (curves[0].low, curves[0].high))
            shade = ink(arm_style(number)[0])
            axes.fill_between(curves[0].x, low, high, color=shade, alpha=0.13, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if diagonal:
        axes.set(xlim=(0, 1.02), ylim=(0, 100))
    return to_svg(figure, label)


def scatter_chart(
    groups: Sequence[tuple[int, Sequence[tuple[Interval, Interval]]]],
    *,
    title: str,
    label: str,
    axis: str,
    percent: tuple[bool, bool],
) -> str:
    """Draw models by two metrics, with their intervals and the number of their group.

    Args:
        groups: Number of the group, counted from 0, and the metrics of each of its models.
        title: Title, which names the vertical metric.
        label: Text for people who do not see the chart; no two charts of a page share one.
        axis: Name of the horizontal metric.
        percent: Whether the horizontal and the vertical metric are shares.

    Returns:
        An `<svg>` element.
    """
    figure, axes = new_figure(title, axis)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    for number, points in groups:
        colour, marker = ink(arm_style(number)[0]), MARKERS[number % len(MARKERS)]
        for pair in points:
            x, y = (100 * v.mean if p else v.mean for v, p in zip(pair, percent, strict=True))
            reach = [_reach(v, p) for v, p in zip(pair, percent, strict=True)]
            axes.errorbar(x, y, reach[1], reach[0], color=colour, elinewidth=0.8, alpha=0.55)
            axes.plot(x, y, color=colour, marker=marker, markersize=6, linestyle="")
            axes.annotate(str(number + 1), (x, y), (6, 4), textcoords="offset points", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return to_svg(figure, label)


def _reach(interval: Interval, percent: bool) -> Float[np.ndarray, "2 1"]:
    """Return how far an interval reaches below and above its value; 0 where there is none."""
    ends = (interval.mean - interval.low, interval.high - interval.mean)
    reach: Float[np.ndarray, "2 1"]
    reach = np.nan_to_num(np.array(ends), nan=0.0, posinf=0.0).clip(0)[:, None]
    return reach * 100 if percent else reach
