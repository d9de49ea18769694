"""Bounds as text: `bg_gap<=10`, `accuracy.low>=90`, `accuracy>=baseline-1`.

Bounds of shares are in percent, as in tables; results hold shares in [0, 1].
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from ectool.errors import UsageError, nearest
from ectool.metrics.bounds import PERCENT, Bound, End
from ectool.stages.evaluate.definitions import FAMILIES, METRICS, MetricInfo, describe, suite_of

FORM = re.compile(
    r"(?P<metric>\S+?)(?:\.(?P<end>low|high|value))?\s*(?P<sign><=|>=)\s*"
    r"(?P<baseline>baseline\b)?\s*(?P<margin>[+-](?=\s*[^\s+-]))?\s*"
    r"(?:(?P<number>[^\s%]+?)\s*(?P<percent>%?))?"
)
ALIASES = {"accuracy": "accuracy@original", "bg_gap": "background_gap"}
"""Short names of metrics in bounds."""


def parse_bounds(
    texts: Iterable[str], suites: Sequence[str], *, has_baseline: bool = False
) -> list[Bound]:
    """Parse the bounds of an evaluation.

    Args:
        texts: As `parse_bound` takes them.
        suites: Suites that will be measured.
        has_baseline: Whether there is a baseline.

    Raises:
        UsageError: One is not valid, its metric belongs to none of the suites, or it needs a
            baseline and there is none.
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
        if bound.is_relative and not has_baseline:
            raise UsageError(
                "--require",
                expected="a number, because there is no baseline",
                got=repr(f"{bound.name} {bound.right}"),
                fix="add --baseline EVALUATION",
            )
    return bounds


def parse_bound(text: str) -> Bound:
    """Parse a bound such as `bg_gap<=10`, `robust@2/255.low>=30%` or `nll<=baseline+0.1`.

    For a share, a number between 0 and 1 without % is ambiguous and refused.

    Raises:
        UsageError: It is not of that form, its metric does not exist, or it is ambiguous.
    """
    match = FORM.fullmatch(text.strip())
    number = math.nan if match is None else _limit(match)
    if match is None or not math.isfinite(number):
        raise UsageError(
            "--require",
            expected="METRIC<=NUMBER or METRIC>=NUMBER",
            got=repr(text),
            fix="write e.g. bg_gap<=10, in percent, accuracy.low>=90 or accuracy>=baseline-1",
        )
    metric = ALIASES.get(match["metric"], match["metric"])
    is_share, is_relative = _known(metric).is_share, match["baseline"] is not None
    if match["percent"] and not is_share:
        raise _not_in_percent(metric, match[0])
    if is_share and not match["percent"] and 0 < abs(number) < 1:
        raise _ambiguous(match, number)
    return Bound(
        metric,
        match["sign"],
        number / PERCENT if is_share else number,
        is_share=is_share,
        end=_end(match["end"], is_relative=is_relative),
        is_relative=is_relative,
    )


def _limit(match: re.Match[str]) -> float:
    """Return the number, or the margin with its sign; NaN if the text is not a number."""
    if match["baseline"] and not match["margin"]:
        return math.nan if match["number"] else 0.0
    try:
        return float((match["margin"] or "") + (match["number"] or ""))
    except ValueError:
        return math.nan


def _end(text: str | None, *, is_relative: bool) -> End:
    """Return what has to meet the bound: by default the value, or the test against a baseline."""
    ends: dict[str | None, End] = {"low": "low", "high": "high", "value": "value"}
    return ends.get(text, "test" if is_relative else "value")


def _known(metric: str) -> MetricInfo:
    """Return the definition of a metric."""
    try:
        return describe(metric)
    except (KeyError, ValueError):  # no such metric, or an invalid detail
        pass
    known = {alias: alias for alias in ALIASES} | _names_by_base()
    near = nearest(metric.partition("@")[0], known)
    raise UsageError(
        "--require",
        expected="a metric of docs/evaluation.md",
        got=repr(metric),
        fix=f"write {known[near]!r}" if near else "name one of them",
    )


def _names_by_base() -> dict[str, str]:
    """Return one metric for each base name before the @."""
    names = (name for table in (FAMILIES, METRICS) for own in table.values() for name in own)
    return {name.partition("@")[0]: name for name in names}


def _not_in_percent(metric: str, text: str) -> UsageError:
    """Return the error for the bound of a metric that is not a share; it takes no percent sign."""
    return UsageError(
        "--require",
        expected=f"a plain number for {metric}, which is not a share",
        got=repr(text),
        fix="leave out the %",
    )


def _ambiguous(match: re.Match[str], number: float) -> UsageError:
    """Return the error for a number that is either a share or percent."""
    start = match.string.strip()[: match.start("margin" if match["margin"] else "number")]
    sign = "+" if match["margin"] == "+" else ""
    return UsageError(
        "--require",
        expected="a share in percent",
        got=repr(match[0]),
        fix=f"write {start}{sign}{number * PERCENT:g} for the share {number:g}, "
        f"or {start}{match['margin'] or ''}{match['number']}% for {number:g} percent",
    )
