"""Bounds that an evaluation has to meet, for gates in continuous integration."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ectool.errors import QualityGateError, UsageError

Bound = tuple[str, str, float]
"""Metric, sign and number."""
BOUND = re.compile(r"^(?P<metric>\S+?)(?P<sign><=|>=)(?P<bound>\S+)$")
SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


def parse_bound(text: str) -> Bound:
    """Read a bound such as `robust@2/255>=0.3` as (metric, sign, number).

    Raises:
        UsageError: It is not of that form.
    """
    match = BOUND.match(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        return match["metric"], match["sign"], float(match["bound"])
    except ValueError:
        raise UsageError(
            "--require",
            expected="METRIC<=NUMBER or METRIC>=NUMBER",
            got=repr(text),
            fix="write e.g. background_gap<=0.1",
        ) from None


def check_bounds(
    metrics: Mapping[str, Mapping[str, object]], bounds: list[Bound], where: Path
) -> None:
    """Compare an evaluation's metrics with bounds.

    Args:
        metrics: Entries of the results by metric.
        bounds: What they have to meet.
        where: File of the results.

    Raises:
        UsageError: A bound names a metric that was not measured.
        QualityGateError: The first bound that is missed.
    """
    for metric, sign, bound in bounds:
        if metric not in metrics:
            raise UsageError(
                "--require",
                expected="one of " + ", ".join(metrics),
                got=repr(metric),
                fix="name a measured metric",
            )
        value = metrics[metric]["value"]
        if not isinstance(value, float) or not SIGNS[sign](value, bound):
            raise QualityGateError(
                metric,
                expected=f"{sign} {bound:g}",
                got="undefined" if value is None else f"{value:.4f}",
                fix=f"see {where}",
            )
