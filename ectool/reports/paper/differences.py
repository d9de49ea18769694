"""Arms of experiments against their reference: figures and tables of the differences.

Marked is only what is significant: a paired t test over seeds, with Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ectool.reports.content import LEVEL, Arm, Difference, ExperimentResults, Result
from ectool.reports.numbers import bounds, p_value, quantity
from ectool.reports.paper.metrics import LINE, metric_label, set_scale
from ectool.reports.paper.style import (
    COLOURS,
    COLUMN,
    INK,
    MARKERS,
    MAX_HEIGHT,
    PaperFigure,
    blank,
    legend,
    shortened,
)
from ectool.reports.paper.text import prefixes, title
from ectool.reports.paper.typesetting import PaperTable, TableCell
from ectool.reports.plotting import percents, whiskers
from ectool.reports.report import Report

MAX_ROWS = 40
"""Maximum number of rows of a table, which fit on a page."""
HOLLOW = "white"
NOTHING = Difference(math.nan, math.nan, math.nan, 0)


def arm_differences(report: Report) -> Iterator[PaperTable]:
    """Yield the metrics of the arms of each experiment with the difference to the reference."""
    for prefix, experiment in zip(prefixes(report), report.experiments, strict=True):
        step = max(1, MAX_ROWS // len(experiment.arms))
        for suite, names in _by_suite(report, experiment).items():
            for number, part in _parts(names, step):
                yield PaperTable(
                    name=f"{prefix}arms-{suite}{number}",
                    caption=f"{suite.capitalize()}. {_caption(experiment)} {_marks(experiment)}",
                    head=("metric", "arm", "value", "difference", "p"),
                    rows=tuple(row for name in part for row in _rows(experiment, name)),
                    texts=2,
                )


def difference_figures(report: Report) -> Iterator[PaperFigure]:
    """Draw the differences of the arms of each experiment to the reference, suite by suite."""
    for prefix, experiment in zip(prefixes(report), report.experiments, strict=True):
        arms = _compared(experiment)[: len(COLOURS) - 1]
        height = 0.16 + LINE * len(arms)
        for suite, names in _by_suite(report, experiment).items() if arms else ():
            for number, part in _parts(names, int((MAX_HEIGHT - 2) / height)):
                yield PaperFigure(
                    f"{prefix}arms-differences-{suite}{number}",
                    f"Difference to {experiment.reference}. {_caption(experiment)} Significant "
                    f"differences are filled. {_marks(experiment)} ↑: higher is better, ↓: lower "
                    "is better.",
                    _figure(experiment, arms, part, height),
                )


def _compared(experiment: ExperimentResults) -> list[Arm]:
    return [arm for arm in experiment.arms if arm.name != experiment.reference]


def _by_suite(report: Report, experiment: ExperimentResults) -> dict[str, list[str]]:
    """Return the metrics of each suite that an arm has."""
    found: dict[str, list[str]] = {}
    for name in experiment.metrics:
        results = [arm.results[name] for arm in experiment.arms if name in arm.results]
        if any(math.isfinite(result.interval.value) for result in results):
            found.setdefault(report.suites.get(name, "other"), []).append(name)
    return found


def _parts(names: Sequence[str], step: int) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the metrics in parts, with the suffix of the file name."""
    for first in range(0, len(names), step):
        yield (f"-{first // step + 1}" if len(names) > step else ""), names[first : first + step]


def _caption(experiment: ExperimentResults) -> str:
    seeds = len(experiment.seeds)
    if seeds < 2:
        return "One seed, without intervals."
    return f"Means and 95 % t intervals over n = {seeds} seeds; differences are paired by seed."


def _marks(experiment: ExperimentResults) -> str:
    """Return what is marked as significant, or why nothing is."""
    if len(experiment.seeds) < 2:
        return "Nothing is marked: a paired test needs two seeds."
    return (
        f"Significant: p below {LEVEL} in the paired t test, after Holm's correction over the "
        "headline metrics of all arms (other metrics: over these)."
    )


def _rows(experiment: ExperimentResults, name: str) -> Iterator[tuple[TableCell, ...]]:
    """Yield a row for each arm, the reference first; only the first row names the metric."""
    metric = experiment.metrics[name]
    reference = [arm for arm in experiment.arms if arm.name == experiment.reference]
    text = title(metric)
    for arm in [*reference, *_compared(experiment)]:
        result = arm.results.get(name, Result({}, NOTHING, NOTHING))
        value = quantity(result.interval.value, metric.is_share)
        interval = bounds(result.interval, metric.is_share) if result.interval.bounded else ""
        first = (TableCell(text), TableCell(arm.name), TableCell(value, interval))
        yield (*first, *_difference_cells(result.difference, metric.is_share))
        text = ""


def _difference_cells(found: Difference | None, is_share: bool) -> tuple[TableCell, TableCell]:
    """Return the difference, in bold if it is significant, and its p; empty for the reference."""
    if found is None:
        return TableCell(""), TableCell("")
    interval = bounds(found, is_share, signed=True) if found.bounded else ""
    text = quantity(found.value, is_share, signed=True)
    return TableCell(text, interval, found.verdict is not None), TableCell(p_value(found.p_holm))


def _figure(
    experiment: ExperimentResults, arms: Sequence[Arm], names: Sequence[str], height: float
) -> Figure:
    """Draw a line per metric and a colour per arm; shares have a common axis."""
    shares = [name for name in names if experiment.metrics[name].is_share]
    others = [[name] for name in names if name not in shares]
    groups = [*([shares] if shares else []), *others]
    heights = [height * len(group) + 0.4 for group in groups]
    figure = blank(COLUMN, sum(heights) + LINE * len(arms))
    grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)
    for axes, group in zip(grid[:, 0], groups, strict=True):
        _dots(axes, experiment, arms, group)
    legend(figure, grid[0, 0])
    return figure


def _dots(
    axes: Axes, experiment: ExperimentResults, arms: Sequence[Arm], names: Sequence[str]
) -> None:
    """Draw the differences of some metrics; significant ones are filled."""
    metrics = [experiment.metrics[name] for name in names]
    axes.axvline(0, color=INK, linewidth=0.6)
    for number, arm in enumerate(arms):
        found = [_difference_of(arm, name) for name in names]
        value, low, high = percents(found, metrics[0].is_share)
        places = np.arange(len(names)) + (number - (len(arms) - 1) / 2) * 0.8 / len(arms)
        style: dict[str, Any] = {
            "color": COLOURS[number + 1],
            "marker": MARKERS[number + 1],
            "linestyle": "none",
        }
        axes.errorbar(
            value,
            places,
            xerr=whiskers(value, low, high),
            label=shortened(arm.name),
            elinewidth=0.9,
            markerfacecolor=HOLLOW,
            **style,
        )
        marked = np.array([one.verdict is not None for one in found])
        axes.plot(value[marked], places[marked], zorder=3, **style)
    axes.set_yticks(range(len(names)), [metric_label(metric) for metric in metrics])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    set_scale(axes, metrics[0].is_share)
    axes.set_xlabel("percentage points" if metrics[0].is_share else "difference")


def _difference_of(arm: Arm, name: str) -> Difference:
    """Return the difference of an arm on a metric; NaN if it was not measured."""
    result = arm.results.get(name)
    return (result.difference if result else None) or NOTHING
