"""Charts that compare models: strength curves, faithfulness curves, trade-offs, calibration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ectool.reports.evaluation import Row, interval_of
from ectool.reports.leaderboard import group_numbers, trade_off_pairs, trade_off_points
from ectool.reports.page.charts import Curve, curve_chart, scatter_chart
from ectool.reports.report import EvaluatedModel, Report
from ectool.reports.strengths import Panel, strength_panels
from ectool.types import Estimate

MAX_GROUPS = 12
"""Groups of models in one chart; more are not distinguishable."""
MIN_IN_BIN = 10
"""Samples in a bin of confidence below which its accuracy is not drawn."""
FAITHFULNESS = "faithfulness_curves"
"""Table of an evaluation with the probabilities after pixels are changed."""
Groups = Mapping[int, Sequence[EvaluatedModel]]


def groups_of(report: Report) -> dict[int, list[EvaluatedModel]]:
    """Return the models of the groups that charts show, by the group's number."""
    found: dict[int, list[EvaluatedModel]] = {}
    for entry in report.entries:
        found.setdefault(group_numbers(report)[entry.group], []).append(entry)
    return {number: found[number] for number in list(found)[:MAX_GROUPS]}


def strength_curves(report: Report) -> dict[str, list[str]]:
    """Draw accuracy by strength of the attack or corruption.

    Returns:
        Charts by suite, for example `robustness`.
    """
    groups = groups_of(report)
    return {
        name: [_panel_chart(name, panel, groups) for panel in panels]
        for name, panels in strength_panels(report).items()
    }


def _panel_chart(name: str, panel: Panel, groups: Groups) -> str:
    return curve_chart(
        [
            (number, curves)
            for number, entries in groups.items()
            if (
                curves := [_curve(*panel.curves[e.name]) for e in entries if e.name in panel.curves]
            )
        ],
        title=f"{panel.title}, %",
        label=f"{name}: {panel.title}, by {panel.x_label}, for each model",
        axis=panel.x_label,
    )


def _curve(positions: Sequence[float], values: Sequence[Estimate]) -> Curve:
    columns = ([getattr(value, name) for value in values] for name in ("value", "low", "high"))
    return Curve(np.array(positions), *(np.array(column, np.float64) for column in columns))


def faithfulness_curves(report: Report) -> dict[str, list[str]]:
    """Draw the probabilities of each group of models by share of pixels changed, with controls.

    Returns:
        A chart for each kind of curve, by group; a line for each value of `maps`.
    """
    names = list(group_numbers(report))
    return {
        names[number]: [_changed_pixels(report, names[number], *one) for one in by_curve.items()]
        for number, entries in groups_of(report).items()
        if (by_curve := _by_curve(entries))
    }


def orders(report: Report) -> list[str]:
    """Return the orders of the pixels: that of the method, and those of the controls."""
    rows = (row for e in report.entries for row in e.evaluation.tables.get(FAITHFULNESS, ()))
    return list(dict.fromkeys(row["maps"] for row in rows))


def _by_curve(entries: Sequence[EvaluatedModel]) -> dict[str, dict[str, list[Curve]]]:
    """Return the curves of models by kind and by order of the pixels."""
    found: dict[str, dict[str, list[Curve]]] = {}
    for entry in entries:
        lines: dict[tuple[str, str], list[Row]] = {}
        for row in entry.evaluation.tables.get(FAITHFULNESS, ()):
            lines.setdefault((row["curve"], row["maps"]), []).append(row)
        for (curve, maps), rows in lines.items():
            found.setdefault(curve, {}).setdefault(maps, []).append(_of_rows(rows))
    return found


def _of_rows(rows: Sequence[Row]) -> Curve:
    return _curve([row["share"] for row in rows], [interval_of(row) for row in rows])


def _changed_pixels(
    report: Report, group: str, curve: str, by_maps: Mapping[str, Sequence[Curve]]
) -> str:
    maps = orders(report)
    title = report.label(curve)
    return curve_chart(
        [(maps.index(name), found) for name, found in by_maps.items()],
        title=f"{title}, %",
        label=f"{title} of {group}, by the share of pixels changed",
        axis="share of pixels changed",
    )


def trade_offs(report: Report) -> Iterator[str]:
    """Draw the models by two metrics, a chart for each trade-off."""
    for x, y in trade_off_pairs(report):
        metrics = [report.metrics[name] for name in (x, y)]
        names = [metric.label + (", %" if metric.is_share else "") for metric in metrics]
        yield scatter_chart(
            [
                (number, trade_off_points(entries, x, y))
                for number, entries in groups_of(report).items()
            ],
            title=names[1],
            label=f"{names[1]} against {names[0]}, for each model",
            axis=names[0],
            percent=(metrics[0].is_share, metrics[1].is_share),
        )


def reliability_diagram(report: Report) -> str | None:
    """Draw accuracy against confidence; None if no evaluation has the table `reliability`."""
    curves = {
        number: found
        for number, entries in groups_of(report).items()
        if (found := [curve for entry in entries if (curve := _reliability(entry))])
    }
    if not curves:
        return None
    return curve_chart(
        [(number, _on_common_bins(found)) for number, found in curves.items()],
        title="Accuracy, %, by confidence",
        label="Accuracy by confidence, for each model; a calibrated one follows the diagonal",
        axis="confidence",
        diagonal=True,
    )


def _reliability(entry: EvaluatedModel) -> Curve | None:
    """Return accuracy by confidence; None if no bin has enough samples."""
    rows = entry.evaluation.tables.get("reliability", ())
    if not any(row["n"] >= MIN_IN_BIN for row in rows):
        return None
    nan = np.full(len(rows), math.nan)
    centres = [(row["low"] + row["high"]) / 2 for row in rows]
    accuracy = [row["accuracy"] if row["n"] >= MIN_IN_BIN else math.nan for row in rows]
    return Curve(np.array(centres), np.array(accuracy), nan, nan)


def _on_common_bins(curves: Sequence[Curve]) -> list[Curve]:
    """Return the curves with the bins of the first curve, so that their mean is defined."""
    return [curve for curve in curves if np.array_equal(curve.x, curves[0].x)]
