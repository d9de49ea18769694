"""Figures of accuracy by strength: attacks, corruptions, replaced backgrounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ectool.reports.evaluation import Evaluation
from ectool.reports.leaderboard import Column, columns
from ectool.reports.paper.style import (
    COLUMN,
    INK,
    PaperFigure,
    blank,
    legend,
    name_rows,
    omission_note,
    panels,
    shortened,
    shown_groups,
)
from ectool.reports.paper.text import IMAGES, sizes
from ectool.reports.plotting import STEPS, percents, whiskers
from ectool.reports.report import Report
from ectool.reports.strengths import MISSING, Panel, strength_panels

CORRUPTION = "corruption"
"""Field of the condition of metrics under one corruption each."""
BAR = 0.09
"""Height of a bar in inches."""


def strength_curves(report: Report) -> Iterator[PaperFigure]:
    """Draw accuracy by radius of attacks, severity of corruptions, and other strengths."""
    for name, found in strength_panels(report).items():
        yield _drawing(report, f"strength-{name}", found)


def _drawing(report: Report, name: str, found: Sequence[Panel]) -> PaperFigure:
    figure, grid = panels(len(found), height=1.8, per_row=4 if len(found) > 6 else 3)
    counts: list[int] = []
    for axes, panel in zip(grid, found, strict=True):
        counts += _curves(axes, report, panel)
    name_rows(grid, "accuracy, %")
    legend(figure, grid[0])
    return PaperFigure(
        name,
        "Accuracy by strength of the attack or corruption. "
        f"Whiskers: {IMAGES.format(sizes(counts))}.{omission_note(report)}",
        figure,
    )


def _curves(axes: Axes, report: Report, panel: Panel) -> list[int]:
    """Draw the curve of every shown model; return the numbers of samples."""
    counts = []
    for group, (style, entries) in shown_groups(report).items():
        for entry in entries:
            x, intervals = panel.curves.get(entry.name, ((), ()))
            if not intervals:
                continue
            value, low, high = percents(intervals, True)
            reach = whiskers(value, low, high)
            axes.errorbar(x, value, reach, label=shortened(group), **style, elinewidth=0.7)
            counts += [one.n for one in intervals if one.n]
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS, integer=max(axes.get_xlim()) > 4))
    axes.set(title=panel.title, xlabel=panel.x_label, ylim=(0, 101))
    return counts


def corruption_bars(report: Report) -> Iterator[PaperFigure]:
    """Draw the accuracy for each corruption, a bar per model."""
    found = [column for column in columns(report) if CORRUPTION in column.metric.condition]
    if not found:
        return
    groups = shown_groups(report)
    models = [(style, entry) for style, entries in groups.values() for entry in entries]
    figure = blank(COLUMN, (0.08 + BAR * len(models)) * len(found) + 0.6 + 0.13 * len(groups))
    axes = figure.subplots()
    for number, (style, entry) in enumerate(models):
        offset = 0.8 * ((number + 0.5) / len(models) - 0.5)
        _bars(axes, found, entry.evaluation, offset, 0.8 / len(models), style["color"], entry.group)
    names = [str(column.metric.condition[CORRUPTION]).replace("_", " ") for column in found]
    axes.set_yticks(range(len(found)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(found) - 0.5, -0.5), xlim=(0, 101), xlabel="accuracy, %")
    axes.grid(visible=False, axis="y")
    legend(figure, axes)
    counts = [cell.value.n for column in found for cell in column.cells if cell.value.n]
    yield PaperFigure(
        "corruptions",
        "Accuracy under common corruptions, mean over five severities; whiskers: "
        f"{IMAGES.format(sizes(counts))}.{omission_note(report)}",
        figure,
    )


def _bars(
    axes: Axes,
    found: Sequence[Column],
    evaluation: Evaluation,
    offset: float,
    height: float,
    colour: str,
    group: str,
) -> None:
    intervals = [evaluation.values.get(column.name, MISSING) for column in found]
    value, low, high = percents(intervals, True)
    axes.barh(
        np.arange(len(found)) + offset,
        value,
        height,
        xerr=whiskers(value, low, high),
        color=colour,
        label=shortened(group),
        error_kw={"elinewidth": 0.6, "ecolor": INK},
    )
