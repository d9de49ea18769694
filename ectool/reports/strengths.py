"""Metrics by strength of attacks, corruptions and replaced backgrounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ectool.config.evaluation_attacks import EVALUATION_ATTACKS
from ectool.reports.content import Metric
from ectool.reports.evaluation import Row, interval_of
from ectool.reports.report import Report
from ectool.types import Estimate

TABLE = "curves"
"""Table of an evaluation whose lines are points of curves."""
ROBUSTNESS = "robustness"
STRENGTHS = {"radius": "eps", "replaced": "share of the background that is replaced"}
"""Name of the horizontal axis, by the field of a condition that is a strength."""
SPELLED = {"linf": "L∞", "l2": "L2"} | {name: row.label for name, row in EVALUATION_ATTACKS.items()}
"""Names of norms and attacks in titles."""
GREY_LEVELS = 255
MISSING = Estimate(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Panel:
    """One chart: a curve for every model.

    Attributes:
        title: Attack or corruption.
        x_label: Label of the horizontal axis.
        curves: Positions and values of each model that has any, by its name.
    """

    title: str
    x_label: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[Estimate]]]


def strength_panels(report: Report) -> dict[str, list[Panel]]:
    """Return the curves over radius of attacks, severity of corruptions, and other strengths.

    Returns:
        Panels by name: `robustness`, `corruptions`, or the suite of the metrics.
    """
    attacks = _of_table(report, ROBUSTNESS, ("attack", "norm"), "eps")
    found = {
        ROBUSTNESS: attacks or _of_families(report, ROBUSTNESS),
        "corruptions": _of_table(report, "corruption", ("corruption",), "severity"),
    }
    for suite in dict.fromkeys(report.suites.values()):
        found.setdefault(suite, _of_families(report, suite))
    return {name: panels for name, panels in found.items() if panels}


def _of_table(report: Report, curve: str, keys: Sequence[str], x: str) -> list[Panel]:
    """Return the panels of a curve from the table of each model, one for each value of the keys."""
    points: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for entry in report.entries:
        for row in entry.evaluation.tables.get(TABLE, ()):
            if row["curve"] == curve:
                kind = tuple(row[key] for key in keys)
                points.setdefault(kind, {}).setdefault(entry.name, []).append(row)
    return [_panel(kind, by_model, x) for kind, by_model in points.items()]


def _panel(kind: Sequence[str], by_model: Mapping[str, Sequence[Row]], x: str) -> Panel:
    in_levels = "linf" in kind
    factor = GREY_LEVELS if in_levels else 1
    curves = {
        name: ([factor * row[x] for row in rows], [interval_of(row) for row in rows])
        for name, rows in by_model.items()
    }
    title = ", ".join(SPELLED.get(part, part.replace("_", " ")) for part in kind)
    return Panel(title, f"{x}, 1/{GREY_LEVELS}" if in_levels else x, curves)


def _of_families(report: Report, suite: str) -> list[Panel]:
    """Return a panel for each family of metrics of a suite."""
    found = []
    for members in families(report).values():
        strongest = members[max(members)]
        metric = report.metrics[strongest]
        if report.suites[strongest] != suite or not metric.is_share:
            continue
        norm = metric.condition.get("norm")
        in_levels = norm == "linf"
        positions = [(GREY_LEVELS if in_levels else 1) * strength for strength in members]
        curves = {
            entry.name: (
                positions,
                [entry.evaluation.values.get(name, MISSING) for name in members.values()],
            )
            for entry in report.entries
        }
        x_label = next(axis for field, axis in STRENGTHS.items() if field in metric.condition)
        title = metric.label.rpartition(", ")[0] + (f", {SPELLED[norm]}" if norm else "")
        found.append(Panel(title, f"{x_label}, 1/{GREY_LEVELS}" if in_levels else x_label, curves))
    return found


def families(report: Report) -> dict[tuple[tuple[str, Any], ...], dict[float, str]]:
    """Return the metrics of each family of two strengths or more, by ascending strength.

    The metrics of a family differ in the strength alone, for example robust accuracies at several
    radii. Strength 0 is the metric on the original images. The keys are the other fields of
    the condition.
    """
    found: dict[tuple[tuple[str, Any], ...], dict[float, str]] = {}
    for name, metric in report.metrics.items():
        for strength in STRENGTHS.keys() & metric.condition.keys():
            others = tuple(item for item in metric.condition.items() if item[0] != strength)
            found.setdefault(others, {})[float(metric.condition[strength])] = name
    for others, members in found.items():
        clean = f"{dict(others)['measure']}@original"
        if clean in report.metrics:
            members[0.0] = clean
    return {family: dict(sorted(m.items())) for family, m in found.items() if len(m) > 1}


@dataclass(frozen=True)
class UnderAttack:
    """A measure under an attack, at any radius."""

    attack: str
    measure: str = "accuracy"


def weakest(wanted: str | UnderAttack, metrics: Mapping[str, Metric]) -> str | None:
    """Return a metric by name; of a measure under an attack, the metric at the smallest radius.

    Args:
        wanted: Name, for example `ece`, or a measure under an attack at any radius.
        metrics: Metrics to choose from; L-inf radii come before those of other norms.
    """
    if isinstance(wanted, str):
        return wanted if wanted in metrics else None
    found = {}
    for name, metric in metrics.items():
        at = metric.condition
        if (at.get("attack"), at.get("measure")) == (wanted.attack, wanted.measure):
            found[at["norm"] != "linf", float(at["radius"])] = name
    return found[min(found)] if found else None
