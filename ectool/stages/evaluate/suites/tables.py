"""Numbers and tables as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Int64

from ectool.metrics.means import Scale, estimate_means
from ectool.stages.evaluate.suites.base import Table, Values
from ectool.types import Estimate


def number(value: float) -> float | None:
    """Return a number that JSON can hold; None if it is undefined."""
    return float(value) if np.isfinite(value) else None


def interval(estimate: Estimate) -> dict[str, float | int | str | None]:
    """Return value, interval and number of samples of an estimate; ``kind`` only of a spread."""
    return {
        "value": number(estimate.value),
        "low": number(estimate.low),
        "high": number(estimate.high),
        "n": estimate.n,
        **({"kind": estimate.kind} if estimate.kind != "interval" else {}),
    }


def mean_lines(
    columns: Iterable[tuple[Mapping[str, object], Values]],
    scale: Scale = "number",
    draw: Int64[np.ndarray, "n"] | None = None,
) -> Table:
    """Return lines of a table that end in the mean of a column and its interval.

    Args:
        columns: Start of each line, and one value per sample.
        scale: Range of the columns.
        draw: Index of the random draw of each sample, if samples share draws.
    """
    lines = list(columns)
    names = [str(place) for place in range(len(lines))]
    means = estimate_means(
        dict(zip(names, (column for _, column in lines), strict=True)),
        scales=dict.fromkeys(names, scale),
        draws={} if draw is None else dict.fromkeys(names, draw),
    )
    return [
        {**head, **interval(mean)} for (head, _), mean in zip(lines, means.values(), strict=True)
    ]


def table(lines: Sequence[Any]) -> Table:
    """Return the lines of a table, which are dataclasses, as JSON values."""
    return [
        {name: number(v) if isinstance(v, float) else v for name, v in asdict(line).items()}
        for line in lines
    ]
