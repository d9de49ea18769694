"""The leaderboard: models by metrics with the best values, and the trade-offs between metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ectool.reports.content import Metric
from ectool.reports.report import EvaluatedModel, Report
from ectool.reports.strengths import UnderAttack, weakest
from ectool.types import Estimate

HEADLINES = (
    "accuracy@original",
    "map@original",
    "ece",
    "background_gap",
    "accuracy@mixed_rand",
    UnderAttack("pgd"),
    UnderAttack("pgd", "map"),
    "mce",
    "pointing_game",
    "energy_inside",
    "insertion",
    "deletion",
    "explanation_consistency",
)
"""Metrics that the page shows first; measures under an attack stand for the smallest radius."""
SHOWN_WITH = {"explanation_consistency": ("heatmap_similarity", "prediction_stability")}
"""Metrics that the page shows next to a headline; they are not tested as headlines."""
TRADE_OFFS = (
    ("accuracy@original", ("background_gap",)),
    ("explanation_consistency", (UnderAttack("worst"), UnderAttack("pgd"))),
)
"""Metric of the horizontal axis, and choices for the vertical axis (see `weakest`)."""
MARGIN = 0.04
"""Share of a plot's width that is empty at each end."""


@dataclass(frozen=True)
class Whisker:
    """Positions of a value and its interval in a plot, in percent of the width."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Cell:
    """A metric of one model.

    Attributes:
        value: Value and interval.
        is_best: Whether no other model has a better value; False for upper bounds.
        whisker: Position in the plot; None if the value is undefined.
        upper_bound: Reason why the value is only an upper bound; empty for other values.
    """

    value: Estimate
    is_best: bool
    whisker: Whisker | None
    upper_bound: str = ""


@dataclass(frozen=True)
class Column:
    """A metric of all models.

    Attributes:
        name: Its name.
        metric: Label and definition.
        suite: Suite of the metric.
        is_headline: Whether the page shows the column first.
        cells: One cell for each model.
        axis: Values at the left and right end of the plot.
    """

    name: str
    metric: Metric
    suite: str
    is_headline: bool
    cells: tuple[Cell, ...]
    axis: tuple[float, float]


def headlines(metrics: Mapping[str, Metric]) -> list[str]:
    """Return the metrics that are shown first, in their order."""
    found = (weakest(wanted, metrics) for wanted in HEADLINES)
    return [name for name in found if name is not None]


def columns(report: Report) -> list[Column]:
    """Return the columns of the leaderboard."""
    first = headlines(report.metrics)
    shown = {*first, *(part for name in first for part in SHOWN_WITH.get(name, ()))}
    return [_column(report, name, is_headline=name in shown) for name in report.metrics]


def _column(report: Report, name: str, *, is_headline: bool) -> Column:
    metric = report.metrics[name]
    values = [_value(entry, name) for entry in report.entries]
    axis = _axis(values, metric.is_share)
    marks = [entry.evaluation.upper_bounds.get(name, "") for entry in report.entries]
    known = [v.value for v, reason in zip(values, marks, strict=True) if not reason]
    best = _best(known, metric.higher_is_better)
    return Column(
        name=name,
        metric=metric,
        suite=report.suites[name],
        is_headline=is_headline,
        cells=tuple(
            Cell(v, v.value == best and not reason, _whisker(v, axis), reason)
            for v, reason in zip(values, marks, strict=True)
        ),
        axis=axis,
    )


def _value(entry: EvaluatedModel, name: str) -> Estimate:
    nothing = Estimate(math.nan, math.nan, math.nan, 0)
    return entry.evaluation.values.get(name, nothing)


def _best(values: Sequence[float], higher_is_better: bool) -> float:
    """Return the best value; NaN if fewer than two values differ."""
    known = [value for value in values if math.isfinite(value)]
    if len(set(known)) < 2:
        return math.nan
    return max(known) if higher_is_better else min(known)


def _axis(values: Sequence[Estimate], is_share: bool) -> tuple[float, float]:
    """Return minimum and maximum of all values and bounds; shares of one model include 0 and 1."""
    numbers = [n for v in values for n in (v.low, v.value, v.high) if math.isfinite(n)]
    if is_share and len(values) == 1:
        numbers += [0.0, 1.0]
    return (min(numbers), max(numbers)) if numbers else (math.nan, math.nan)


def _whisker(value: Estimate, axis: tuple[float, float]) -> Whisker | None:
    """Return the position of a value; None if it is undefined."""
    if not math.isfinite(value.value):
        return None
    ends = (value.low, value.high) if value.bounded else (value.value, value.value)
    low, middle, high = (_place(number, axis) for number in (ends[0], value.value, ends[1]))
    return Whisker(low, middle, high)


def _place(number: float, axis: tuple[float, float]) -> float:
    width = axis[1] - axis[0]
    share = (number - axis[0]) / width if width > 0 else 0.5
    return round(100 * (MARGIN + (1 - 2 * MARGIN) * share), 1)


def by_suite(found: Sequence[Column]) -> Mapping[str, list[Column]]:
    """Return the columns of each suite."""
    suites: dict[str, list[Column]] = {}
    for column in found:
        suites.setdefault(column.suite, []).append(column)
    return suites


def group_numbers(report: Report) -> dict[str, int]:
    """Return the number of each group of models, which sets its style."""
    names = dict.fromkeys(entry.group for entry in report.entries)
    return {name: number for number, name in enumerate(names)}


def trade_off_pairs(report: Report) -> Iterator[tuple[str, str]]:
    """Yield both metrics of each trade-off that two models or more have."""
    for x, choices in TRADE_OFFS:
        known = filter(None, (weakest(wanted, report.metrics) for wanted in choices))
        y = next(known, None)
        if y is not None and len(trade_off_points(report.entries, x, y)) > 1:
            yield x, y


def trade_off_points(
    entries: Sequence[EvaluatedModel], x: str, y: str
) -> list[tuple[Estimate, Estimate]]:
    """Return both metrics of each model that has them."""
    values = [entry.evaluation.values for entry in entries]
    return [(v[x], v[y]) for v in values if x in v and y in v]
