"""Metrics over growing strength: of attacks, of corruptions, of what else has a number."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ectool.config.evaluation_attacks import EVALUATION_ATTACKS
from ectool.reports.content import Interval
from ectool.reports.evaluation import Row, interval_of
from ectool.reports.report import Report

TABLE = "curves"
"""Table of an evaluation whose lines are points of curves."""
ROBUSTNESS = "robustness"
STRENGTH = re.compile(r"(?P<family>[\w-]+@.*?)(?P<strength>\d+(\.\d+)?(/\d+)?)")
RANKED = re.compile(r"robust.*?(?P<ranked>_map|_map11)?")
SPELLED = {"linf": "L∞", "l2": "L2"} | {name: row.label for name, row in EVALUATION_ATTACKS.items()}
"""Norms and attacks as people write them."""
GREY_LEVELS = 255
MISSING = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Panel:
    """One chart: a curve for every model.

    Attributes:
        title: What is done to the images.
        across: Name of the horizontal axis.
        curves: Positions and values of each model that has any, by its name.
    """

    title: str
    across: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[Interval]]]


def strength_panels(report: Report) -> dict[str, list[Panel]]:
    """Return what there is over the radius of attacks, the severity of corruptions, and others.

    Returns:
        Panels by what they have in common: `robustness`, `corruptions`, or the suite of a family.
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
    """Return what the tables of the models say of a curve, apart by the keys."""
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
    """Return a panel for each family of a suite's metrics that differ in a strength alone."""
    found = []
    for family, members in families(report).items():
        strongest = members[max(members)]
        metric, written = report.metrics[strongest], strongest.removeprefix(family)
        if report.suites[strongest] != suite or not metric.is_share:
            continue
        in_levels = written.endswith(f"/{GREY_LEVELS}")
        positions = [(GREY_LEVELS if in_levels else 1) * strength for strength in members]
        curves = {
            entry.name: (
                positions,
                [entry.evaluation.values.get(name, MISSING) for name in members.values()],
            )
            for entry in report.entries
        }
        title = metric.label.removesuffix(written).rstrip(" ,-")
        found.append(Panel(title, f"eps, 1/{GREY_LEVELS}" if in_levels else "strength", curves))
    return found


def families(report: Report) -> dict[str, dict[float, str]]:
    """Return the metrics of each family by strength, ascending; those of two strengths or more.

    A family is what differs in a number at the end alone, such as `robust@EPS`; at strength 0
    stands the metric of the images as they are.
    """
    found: dict[str, dict[float, str]] = {}
    for name in report.metrics:
        parts = STRENGTH.fullmatch(name)
        if parts is not None:
            found.setdefault(parts["family"], {})[_number(parts["strength"])] = name
    for family, members in found.items():
        clean = _clean(family)
        if clean in report.metrics:
            members[0.0] = clean
    return {family: dict(sorted(m.items())) for family, m in found.items() if len(m) > 1}


def weakest(wanted: str, names: Iterable[str]) -> str | None:
    """Return the metric of a name; of one that ends with `@`, the metric of the least strength.

    Args:
        wanted: Such as `ece`, or `robust@` for the smallest radius that was measured.
        names: Metrics to choose from; L-inf radii come before those of other norms.
    """
    if not wanted.endswith("@"):
        return wanted if wanted in names else None
    found = {
        (parts["family"], _number(parts["strength"])): name
        for name in names
        if name.startswith(wanted) and (parts := STRENGTH.fullmatch(name))
    }
    return found[min(found)] if found else None


def _number(text: str) -> float:
    """Return the number that a strength stands for: `0.25`, or in grey levels `0.5/255`."""
    numerator, _, denominator = text.partition("/")
    return float(numerator) / float(denominator or 1)


def _clean(family: str) -> str:
    """Return the metric that a family is at strength 0: of robust accuracy, the accuracy."""
    base = family.partition("@")[0]
    robust = RANKED.fullmatch(base)
    if robust is None:
        return f"{base}@original"
    return f"{(robust['ranked'] or '_accuracy').removeprefix('_')}@original"
