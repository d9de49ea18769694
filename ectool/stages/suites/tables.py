"""Numbers and tables as JSON can hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ectool.metrics.means import estimate_means
from ectool.metrics.statistics import Estimate
from ectool.stages.suites.base import Resampling, Table, Values


def number(value: float) -> float | None:
    """Return a number that JSON can hold; None where it is undefined."""
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
    columns: Iterable[tuple[Mapping[str, object], Values]], resampling: Resampling
) -> Table:
    """Return lines of a table that end in the mean of a column and its interval.

    Args:
        columns: How each line begins, and one value per sample.
        resampling: How the bootstrap draws; once for all columns.
    """
    lines = list(columns)
    means = estimate_means(
        {str(place): column for place, (_, column) in enumerate(lines)},
        resamples=resampling.resamples,
        seed=resampling.seed,
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
