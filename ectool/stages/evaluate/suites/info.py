"""Labels and definitions of metrics, and families of metrics that differ in one detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class MetricInfo:
    """Label, definition and direction of a metric.

    Attributes:
        label: Name for tables.
        definition: Definition and source, in one line.
        higher_is_better: Direction.
        is_share: Whether the range is [0, 1] (differences: [-1, 1]); shown in percent.
        is_difference: Whether it is the difference of two shares, -1 to 1.
    """

    label: str
    definition: str
    higher_is_better: bool
    is_share: bool = True
    is_difference: bool = False

    @property
    def scale(self) -> Literal["share", "difference", "number"]:
        """Return the range of the values of samples, which determines the interval of the mean."""
        if not self.is_share:
            return "number"
        return "difference" if self.is_difference else "share"

    def at(self, detail: str, addition: str) -> MetricInfo:
        """Return the metric with a detail; `addition` extends the definition."""
        return replace(self, label=f"{self.label}, {detail}", definition=self.definition + addition)


@dataclass(frozen=True)
class Family:
    """Metrics `NAME@DETAIL` that differ only in the detail.

    Attributes:
        info: Label and definition that all share.
        of: Returns one of the metrics, from `info` and the detail; raises KeyError or ValueError
            for an invalid detail.
    """

    info: MetricInfo
    of: Callable[[MetricInfo, str], MetricInfo]
