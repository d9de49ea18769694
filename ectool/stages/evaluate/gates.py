"""Bounds that evaluations have to meet, for gates in continuous integration.

Shares are bounded in percent, as tables show them; results hold them in [0, 1].
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ectool.errors import QualityGateError, UsageError
from ectool.stages.evaluate.definitions import FAMILIES, METRICS, MetricInfo, describe, suite_of

FORM = re.compile(r"(?P<metric>\S+?)\s*(?P<sign><=|>=)\s*(?P<number>[^\s%]+)\s*(?P<percent>%?)")
SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
ALIASES = {"accuracy": "accuracy@original", "bg_gap": "background_gap"}
"""Other names under which a metric can be bounded."""
PERCENT = 100


@dataclass(frozen=True)
class Bound:
    """A bound of a metric.

    Attributes:
        metric: Its name in the results.
        sign: `<=` or `>=`.
        number: In the unit of the results: shares in [0, 1].
        is_share: Whether people read it as percent.
    """

    metric: str
    sign: str
    number: float
    is_share: bool

    def is_met(self, value: object) -> bool:
        """Tell whether a value meets the bound; an undefined value does not."""
        return isinstance(value, int | float) and SIGNS[self.sign](value, self.number)

    def missed_by(self, value: object, upper_bound: object = None) -> str | None:
        """Return the text of a value that misses the bound, or None where it is met.

        Args:
            value: That of the results.
            upper_bound: Why the value is only an upper bound, which proves no minimum; None where
                it is exact.
        """
        if not self.is_met(value):
            return self.written(value)
        if upper_bound is None or self.sign == "<=":
            return None
        return f"no more than an upper bound, {self.written(value)}: {upper_bound}"

    def written(self, value: object) -> str:
        """Format a value of the results; shares in percent."""
        if not isinstance(value, int | float):
            return "undefined"
        return f"{value * PERCENT:.6g} %" if self.is_share else f"{value:.6g}"


def parse_bounds(texts: Iterable[str], suites: Sequence[str]) -> list[Bound]:
    """Read the bounds of an evaluation.

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
    """Read a bound such as `bg_gap<=10`, `robust@2/255>=30%` or `nll<=0.5`.

    A number without % between 0 and 1 is refused for a share: it may be meant either way.

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
    """Parse a number; NaN where the text is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _known(metric: str) -> MetricInfo:
    """Return the definition of a metric."""
    try:
        return describe(metric)
    except (KeyError, ValueError):  # no such metric, or a detail that is not spelled like that
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
    """Return a bound of a metric that is no share, which has no percent."""
    if not match["percent"]:
        return bound
    raise UsageError(
        "--require",
        expected=f"a plain number for {bound.metric}, which is no share",
        got=repr(match[0]),
        fix="leave out the %",
    )


def _ambiguous(match: re.Match[str], number: float) -> UsageError:
    """Return the error for a number that may be a share or percent."""
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
    """Compare an evaluation's metrics with bounds.

    Args:
        metrics: Entries of the results by metric.
        bounds: What they have to meet.
        where: File of the results.
        model: Name of the model, where there are several.

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
