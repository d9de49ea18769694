"""Bounds of metrics: numbers, or the value of a baseline and a margin."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ectool.types import Estimate

SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
PERCENT = 100
LEVEL = 0.05
"""P-value below which a model differs from the baseline."""
End = Literal["value", "low", "high", "test"]
"""What meets a bound: a value, an end of its interval, or a paired test against the baseline."""


@dataclass(frozen=True)
class Comparison:
    """Difference of a metric between a model and a baseline.

    Attributes:
        baseline: Value of the baseline, on the samples of the comparison.
        difference: Model minus baseline, with its interval.
        test: `McNemar`, `t`, or `intervals` where the metric has no values of samples.
        p_value: P-value of the two-sided test that the difference is 0; NaN without a test.
        confidence: Nominal probability of the interval.
    """

    baseline: float
    difference: Estimate
    test: str
    p_value: float
    confidence: float


@dataclass(frozen=True)
class Bound:
    """A bound of a metric.

    Attributes:
        metric: Its name in the results.
        sign: `<=` or `>=`.
        number: In the unit of the results: shares in [0, 1]; what is added to a baseline.
        is_share: Whether the value is formatted in percent.
        end: What has to meet the bound.
        is_relative: Whether the number is added to the value of a baseline.
    """

    metric: str
    sign: str
    number: float
    is_share: bool
    end: End = "value"
    is_relative: bool = False

    @property
    def name(self) -> str:
        """Return the metric, with the end of the interval that has to meet the bound."""
        return f"{self.metric}.{self.end}" if self.end in ("low", "high") else self.metric

    @property
    def text(self) -> str:
        """Return the bound as text, such as `accuracy@original.low >= 90 %`."""
        return f"{self.name} {self.right}"

    @property
    def right(self) -> str:
        """Return sign and limit as text."""
        if not self.is_relative:
            return f"{self.sign} {self.written(self.number)}"
        margin = f" {'+' if self.number > 0 else '-'} {self.written(abs(self.number))}"
        return f"{self.sign} baseline{margin if self.number else ''}"

    def is_met(self, value: float) -> bool:
        """Return whether a number meets the bound; an undefined number does not."""
        return SIGNS[self.sign](value, self.number)

    def missed_by(self, found: Estimate, upper_bound: str | None = None) -> str | None:
        """Return the text of a value that misses the bound; None if it meets the bound.

        Args:
            found: Value and interval in the results.
            upper_bound: Reason why the value is only an upper bound, which meets no minimum; None
                if it is exact.
        """
        value = {"low": found.low, "high": found.high}.get(self.end, found.value)
        if not self.is_met(value):
            return self.written(value)
        if upper_bound is None or self.sign == "<=":
            return None
        return f"no more than an upper bound, {self.written(value)}: {upper_bound}"

    def missed_against(self, found: Comparison) -> str | None:
        """Return the text of a difference that misses the bound; None if it meets the bound.

        A bound with the end `test` is missed where the interval of the difference lies beyond the
        margin. With a margin on the worse side, or none, the test must also tell both models
        apart: McNemar's exact test is more conservative than the interval. Without an interval
        the value counts. Other ends are compared with the margin, so `low` of a minimum demands
        evidence that the model is not worse.

        Args:
            found: The difference between model and baseline.
        """
        is_missed = self._is_beyond(found) if self.end == "test" else not self._is_end_met(found)
        return self.described(found) if is_missed else None

    def _is_end_met(self, found: Comparison) -> bool:
        ends = {"low": found.difference.low, "high": found.difference.high}
        return self.is_met(ends.get(self.end, found.difference.value))

    def _is_beyond(self, found: Comparison) -> bool:
        """Return whether the difference misses the margin by more than chance."""
        difference, is_minimum = found.difference, self.sign == ">="
        if not difference.bounded:
            return not self.is_met(difference.value)
        if self.is_met(difference.high if is_minimum else difference.low):
            return False
        is_tolerant = self.number <= 0 if is_minimum else self.number >= 0
        return not (is_tolerant and found.p_value >= 1 - found.confidence)

    def described(self, found: Comparison) -> str:
        """Return the difference and the value of the baseline as text."""
        difference = found.difference
        if math.isnan(difference.value):
            return "undefined"
        text = self._points(difference.value)
        if difference.bounded:
            text += f" {self.interval(difference, signed=True)}"
        text += f" against {self.written(found.baseline)}"
        return text if math.isnan(found.p_value) else f"{text}, p = {found.p_value:.2g}"

    def interval(self, found: Estimate, *, signed: bool = False) -> str:
        """Format the ends of an interval; those of a spread by its name."""
        unit, form = (PERCENT if self.is_share else 1), "+.4g" if signed else ".4g"
        ends = f"[{found.low * unit:{form}}, {found.high * unit:{form}}]"
        return f"spread {ends}" if found.kind == "spread" else ends

    def _points(self, difference: float) -> str:
        """Format a difference with its sign; of shares in percentage points."""
        return f"{difference * PERCENT:+.4g} points" if self.is_share else f"{difference:+.4g}"

    def written(self, value: float) -> str:
        """Format a value of the results; shares in percent."""
        if math.isnan(value):
            return "undefined"
        return f"{value * PERCENT:.6g} %" if self.is_share else f"{value:.6g}"
