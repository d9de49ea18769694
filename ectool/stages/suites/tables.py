"""Numbers and tables as JSON can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ectool.metrics.statistics import Estimate
from ectool.stages.suites.base import Table


def number(value: float) -> float | None:
    """Return a number that JSON can hold; None where it is undefined."""
    return float(value) if np.isfinite(value) else None


def interval(estimate: Estimate) -> dict[str, float | int | None]:
    """Return value, interval and number of samples of an estimate."""
    return {
        "value": number(estimate.value),
        "low": number(estimate.low),
        "high": number(estimate.high),
        "n": estimate.n,
    }


def table(lines: Sequence[Any]) -> Table:
    """Return the lines of a table, which are dataclasses, as JSON values."""
    return [
        {name: number(v) if isinstance(v, float) else v for name, v in asdict(line).items()}
        for line in lines
    ]
