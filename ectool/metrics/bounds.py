"""Bounds of metrics."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}
PERCENT = 100


@dataclass(frozen=True)
class Bound:
    """A bound of a metric.

    Attributes:
        metric: Its name in the results.
        sign: `<=` or `>=`.
        number: In the unit of the results: shares in [0, 1].
        is_share: Whether the value is formatted in percent.
    """

    metric: str
    sign: str
    number: float
    is_share: bool

    def is_met(self, value: object) -> bool:
        """Return whether a value meets the bound; an undefined value does not."""
        return isinstance(value, int | float) and SIGNS[self.sign](value, self.number)

    def missed_by(self, value: object, upper_bound: object = None) -> str | None:
        """Return the text of a value that misses the bound; None if it meets the bound.

        Args:
            value: Value in the results.
            upper_bound: Reason why the value is only an upper bound, which meets no minimum; None
                if it is exact.
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
