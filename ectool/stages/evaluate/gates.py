"""Gates: bounds that an evaluation must meet, e.g. in continuous integration.

Bounds of shares are in percent, as in tables; results hold shares in [0, 1].
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from ectool.errors import QualityGateError, UsageError
from ectool.metrics.bounds import PERCENT, Bound
from ectool.stages.evaluate.definitions import FAMILIES, METRICS, MetricInfo, describe, suite_of

FORM = re.compile(r"(?P<metric>\S+?)\s*(?P<sign><=|>=)\s*(?P<number>[^\s%]+)\s*(?P<percent>%?)")
ALIASES = {"accuracy": "accuracy@original", "bg_gap": "background_gap"}
"""Short names of metrics in bounds."""


def parse_bounds(texts: Iterable[str], suites: Sequence[str]) -> list[Bound]:
    """Parse the bounds of an evaluation.

    Args:
        texts: As `parse_bound` takes them.
        suites: Suites that will be measured.

    Raises:
        UsageError: One is not valid, or its metric belongs to none of the suites.
    """
    bounds = [parse_bound(text) for text in texts]
    for bound in bounds:
        suite = suite_of(bound.metric)
        if suite not in suites:
            raise UsageError(
                "--require",
                expected=f"a metric of {', '.join(suites)}",
                got=f"{bound.metric!r} of {suite}",
                fix=f"add {suite} to --suite",
            )
    return bounds


def parse_bound(text: str) -> Bound:
    """Parse a bound such as `bg_gap<=10`, `robust@2/255>=30%` or `nll<=0.5`.

    For a share, a number between 0 and 1 without % is ambiguous and refused.

    Raises:
        UsageError: It is not of that form, its metric does not exist, or it is ambiguous.
    """
    match = FORM.fullmatch(text.strip())
    number = math.nan if match is None else _number(match["number"])
    if match is None or not math.isfinite(number):
        raise UsageError(
            "--require",
            expected="METRIC<=NUMBER or METRIC>=NUMBER",
            got=repr(text),
            fix="write e.g. bg_gap<=10, in percent",
        )
    metric = ALIASES.get(match["metric"], match["metric"])
    info = _known(metric)
    if not info.is_share:
        return _plain(Bound(metric, match["sign"], number, is_share=False), match)
    if not match["percent"] and 0 < abs(number) < 1:
        raise _ambiguous(match, number)
    return Bound(metric, match["sign"], number / PERCENT, is_share=True)


def _number(text: str) -> float:
    """Parse a number; NaN if the text is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _known(metric: str) -> MetricInfo:
    """Return the definition of a metric."""
    try:
        return describe(metric)
    except (KeyError, ValueError):  # no such metric, or an invalid detail
        pass
    known = {alias: alias for alias in ALIASES} | _names_by_base()
    close = get_close_matches(metric.partition("@")[0], known, n=1)
    raise UsageError(
        "--require",
        expected="a metric of docs/evaluation.md",
        got=repr(metric),
        fix=f"write {known[close[0]]!r}" if close else "name one of them",
    )


def _names_by_base() -> dict[str, str]:
    """Return one metric for each base name before the @."""
    names = (name for table in (FAMILIES, METRICS) for own in table.values() for name in own)
    return {name.partition("@")[0]: name for name in names}


def _plain(bound: Bound, match: re.Match[str]) -> Bound:
    """Return the bound of a metric that is not a share; it takes no percent sign."""
    if not match["percent"]:
        return bound
    raise UsageError(
        "--require",
        expected=f"a plain number for {bound.metric}, which is not a share",
        got=repr(match[0]),
        fix="leave out the %",
    )


def _ambiguous(match: re.Match[str], number: float) -> UsageError:
    """Return the error for a number that is either a share or percent."""
    start = match["metric"] + match["sign"]
    return UsageError(
        "--require",
        expected="a share in percent",
        got=repr(match[0]),
        fix=f"write {start}{number * PERCENT:g} for the share {number:g}, "
        f"or {start}{match['number']}% for {number:g} percent",
    )


def check_bounds(
    metrics: Mapping[str, Mapping[str, object]],
    bounds: Sequence[Bound],
    where: Path,
    model: str = "",
) -> None:
    """Compare the metrics of an evaluation with bounds.

    Args:
        metrics: Entries of the results by metric.
        bounds: Bounds to meet.
        where: File of the results.
        model: Name of the model, one of several.

    Raises:
        UsageError: A bound names a metric that was not measured.
        QualityGateError: The first bound that is missed.
    """
    start = f"{model}: " if model else ""
    for bound in bounds:
        if bound.metric not in metrics:
            raise UsageError(
                f"{start}--require",
                expected="a metric that was measured",
                got=repr(bound.metric),
                fix=f"name one of {where}",
            )
        entry = metrics[bound.metric]
        missed = bound.missed_by(entry["value"], entry.get("upper_bound"))
        if missed is not None:
            raise QualityGateError(
                start + bound.metric,
                expected=f"{bound.sign} {bound.written(bound.number)}",
                got=missed,
                fix=f"see {where}",
            )
