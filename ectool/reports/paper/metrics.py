"""Figures of metrics with intervals, and of trade-offs between two metrics."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from ectool.reports.content import Metric
from ectool.reports.leaderboard import Column, by_suite, columns, group_numbers, trade_off_pairs
from ectool.reports.paper.strengths import CORRUPTION
from ectool.reports.paper.style import (
    COLOURS,
    COLUMN,
    FAINT,
    INK,
    MAX_SHOWN,
    PAGE,
    PaperFigure,
    blank,
    legend,
    model_styles,
    shortened,
)
from ectool.reports.paper.text import IMAGES, SEEDS, over_seeds, prefixes, sizes
from ectool.reports.plotting import STEPS, percents, whiskers
from ectool.reports.report import Report

LINE = 0.13
"""Height of a model's line in inches."""
LABEL_WIDTH, AXIS_WIDTH = 26, 30
"""Maximum number of characters in one line of a metric's label, and of an axis label."""
NO_BREAK = "\N{NO-BREAK SPACE}"
PER_FIGURE = 4
"""Metrics in one figure if every model has its own line."""
TICKS = 4
"""Maximum number of intervals between ticks, so that tick labels do not overlap."""
MAX_METRICS_HEIGHT = 7.0
"""Maximum height of a figure of metrics in inches; more metrics take another figure."""


def is_few(report: Report) -> bool:
    """Report whether there is a colour for each group of models."""
    return len(group_numbers(report)) <= MAX_SHOWN and len(report.entries) <= 3 * MAX_SHOWN


def suite_metrics(
    report: Report, prefix: str = "", intervals: str = IMAGES
) -> Iterator[PaperFigure]:
    """Draw the metrics of each suite: few models by colour, many models with a line each."""
    draw = _by_metric if is_few(report) else _by_model
    width = max(1, int(MAX_METRICS_HEIGHT / _height(report))) if is_few(report) else PER_FIGURE
    for suite, found in by_suite(columns(report)).items():
        known = [
            column
            for column in found
            if CORRUPTION not in column.metric.condition
            and any(np.isfinite(cell.value.value) for cell in column.cells)
        ]
        for number, first in enumerate(range(0, len(known), width), start=1):
            part = known[first : first + width]
            counts = [cell.value.n for column in part for cell in column.cells if cell.value.n]
            yield PaperFigure(
                f"{prefix}metrics-{suite}" + (f"-{number}" if len(known) > width else ""),
                f"Dots: values; whiskers: {intervals.format(sizes(counts))}. "
                "↑: higher is better, ↓: lower is better.",
                draw(report, part),
            )


def experiment_metrics(report: Report) -> Iterator[PaperFigure]:
    """Draw the metrics of the arms of each experiment as means over seeds."""
    for prefix, experiment in zip(prefixes(report), report.experiments, strict=True):
        arms = over_seeds(report, experiment)
        yield from suite_metrics(arms, f"{prefix}arms-", SEEDS)


def _height(report: Report) -> float:
    """Return the height of a metric with a line per model, in inches."""
    return 0.16 + LINE * len(report.entries)


def _by_metric(report: Report, found: Sequence[Column]) -> Figure:
    """Draw a line per metric and a colour per model; shares have a common axis."""
    shares = [column for column in found if column.metric.is_share]
    groups = ([shares] if shares else []) + [[c] for c in found if not c.metric.is_share]
    heights = [_height(report) * len(group) + 0.4 for group in groups]
    figure = blank(COLUMN, sum(heights) + LINE * len(group_numbers(report)))
    grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)
    for axes, group in zip(grid[:, 0], groups, strict=True):
        _dots(axes, report, group)
    legend(figure, grid[0, 0])
    return figure


def _dots(axes: Axes, report: Report, found: Sequence[Column]) -> None:
    models, is_share = len(report.entries), found[0].metric.is_share
    offsets = (np.arange(models) - (models - 1) / 2) * 0.8 / models
    for number, (entry, style) in enumerate(zip(report.entries, model_styles(report), strict=True)):
        value, low, high = percents([c.cells[number].value for c in found], is_share)
        axes.errorbar(
            value,
            np.arange(len(found)) + offsets[number],
            xerr=whiskers(value, low, high),
            label=shortened(entry.group),
            elinewidth=0.9,
            **style | {"linestyle": "none"},
        )
    axes.set_yticks(range(len(found)), [metric_label(column.metric) for column in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    set_scale(axes, is_share)


def _by_model(report: Report, found: Sequence[Column]) -> Figure:
    """Draw a panel per metric and a line per model."""
    models = np.arange(len(report.entries))
    figure = blank(PAGE, LINE * len(models) + 0.8)
    grid = figure.subplots(1, len(found), squeeze=False, sharey=True)
    for axes, column in zip(grid[0], found, strict=True):
        is_share = column.metric.is_share
        value, low, high = percents([cell.value for cell in column.cells], is_share)
        axes.errorbar(value, models, xerr=whiskers(value, low, high), color=INK, fmt="o", ms=2.5)
        axes.set_title(metric_label(column.metric))
        set_scale(axes, is_share)
    grid[0, 0].set_yticks(models, [shortened(entry.name) for entry in report.entries])
    grid[0, 0].set_ylim(len(models) - 0.5, -0.5)
    return figure


def metric_label(metric: Metric) -> str:
    """Return a metric's label with the direction that is better."""
    arrow = "↑" if metric.higher_is_better else "↓"
    return textwrap.fill(f"{metric.label}{NO_BREAK}{arrow}", LABEL_WIDTH)


def set_scale(axes: Axes, is_share: bool) -> None:
    """Label the unit, and limit the axis of percentages."""
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("%" if is_share else "value")
    axes.xaxis.set_major_locator(MaxNLocator(TICKS, steps=STEPS))
    if is_share:
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -101), min(high, 101))


def trade_offs(report: Report) -> Iterator[PaperFigure]:
    """Draw each trade-off between two metrics, a point per model."""
    found = {column.name: column for column in columns(report)}
    for first, second in trade_off_pairs(report):
        pair = (found[first], found[second])
        best = [] if is_few(report) else pareto_front(*pair)
        counts = [cell.value.n for column in pair for cell in column.cells if cell.value.n]
        numbered = [f"{i}: {report.entries[row].name}" for i, row in enumerate(best, start=1)]
        yield PaperFigure(
            f"trade-off-{first.partition('@')[0]}-{second.partition('@')[0]}",
            f"{pair[1].metric.label} against {pair[0].metric.label}, a point per model; whiskers: "
            f"{IMAGES.format(sizes(counts))}."
            + (f" Models on the Pareto front: {'; '.join(numbered)}." if best else ""),
            _scatter(report, *pair, best),
        )


def _scatter(report: Report, horizontal: Column, vertical: Column, best: Sequence[int]) -> Figure:
    """Draw models by two metrics: few models by colour; of many models, the best are numbered."""
    few = is_few(report)
    figure = blank(COLUMN, 2.6 + (LINE * len(group_numbers(report)) if few else 0))
    axes = figure.subplots()
    x, y = (
        percents([c.value for c in one.cells], one.metric.is_share)
        for one in (horizontal, vertical)
    )
    if few:
        for number, (entry, style) in enumerate(
            zip(report.entries, model_styles(report), strict=True)
        ):
            label = {"label": shortened(entry.group)}
            _cross(axes, x[:, [number]], y[:, [number]], style | label)
    else:
        _cross(axes, x, y, {"color": INK, "ecolor": FAINT, "marker": "o", "markersize": 2.5})
    for number, row in enumerate(best, start=1):
        _number(axes, number, x[0, row], y[0, row])
    axes.set_xlabel(_axis(horizontal.metric))
    axes.set_ylabel(_axis(vertical.metric))
    legend(figure, axes)
    return figure


def _number(axes: Axes, number: int, x: float, y: float) -> None:
    """Mark a point with a number that is readable on other points."""
    axes.plot(x, y, color=COLOURS[1], marker="o", markersize=3, zorder=3)
    axes.annotate(
        str(number),
        (x, y),
        (3, 2),
        textcoords="offset points",
        color=COLOURS[1],
        fontsize=7,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
    )


def _cross(
    axes: Axes,
    x: Float[np.ndarray, "3 n"],
    y: Float[np.ndarray, "3 n"],
    style: Mapping[str, Any],
) -> None:
    plain = {"elinewidth": 0.7, **style, "linestyle": "none"}
    axes.errorbar(x[0], y[0], xerr=whiskers(*x), yerr=whiskers(*y), **plain)


def pareto_front(horizontal: Column, vertical: Column) -> list[int]:
    """Return the models that no other model dominates on both metrics (Pareto front).

    Returns:
        Rows of the models, the lowest value of `horizontal` first.
    """
    a, b = (
        np.array([cell.value.value for cell in column.cells])
        * (1 if column.metric.higher_is_better else -1)
        for column in (horizontal, vertical)
    )
    dominated = (a >= a[:, None]) & (b >= b[:, None]) & ((a > a[:, None]) | (b > b[:, None]))
    rows = np.flatnonzero(np.isfinite(a + b) & ~dominated.any(axis=1))
    return sorted(rows.tolist(), key=lambda row: horizontal.cells[row].value.value)


def _axis(metric: Metric) -> str:
    """Return a metric's label with its unit and the better side."""
    unit = ", %" if metric.is_share else ""
    side = "(better →)" if metric.higher_is_better else "(← better)"
    return textwrap.fill(f"{metric.label}{unit} {side.replace(' ', NO_BREAK)}", AXIS_WIDTH)
