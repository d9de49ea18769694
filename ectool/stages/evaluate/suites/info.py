"""Labels and definitions of metrics, and families of metrics that differ in one detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class MetricInfo:
    """What a metric is.

    Attributes:
        label: Name for tables.
        definition: One line.
        higher_is_better: Which way is good.
        is_share: Whether the range is [0, 1] (differences: [-1, 1]), to be read as percent.
        is_difference: Whether it is the difference of two shares, -1 to 1.
    """

    label: str
    definition: str
    higher_is_better: bool
    is_share: bool = True
    is_difference: bool = False

    @property
    def scale(self) -> Literal["share", "difference", "number"]:
        """Return what a sample's value is, which decides the interval of the mean."""
        if not self.is_share:
            return "number"
        return "difference" if self.is_difference else "share"

    def at(self, detail: str, addition: str) -> MetricInfo:
        """Return the metric under a detail, with what that adds to the definition."""
        return replace(self, label=f"{self.label}, {detail}", definition=self.definition + addition)


@dataclass(frozen=True)
class Family:
    """Metrics `NAME@DETAIL` that differ in the detail alone.

    Attributes:
        info: What all of them are.
        of: Returns what one of them is, by `info` and the detail; raises KeyError or ValueError
            where there is no such detail.
    """

    info: MetricInfo
    of: Callable[[MetricInfo, str], MetricInfo]
