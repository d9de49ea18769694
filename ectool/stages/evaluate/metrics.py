"""Metrics of an evaluation, computed from its artifacts without the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float64, Int64

from ectool.metrics.means import estimate_means
from ectool.stages.evaluate.definitions import describe
from ectool.stages.evaluate.suites import SUITES
from ectool.stages.evaluate.suites.base import Resampling, Table
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.tables import interval
from ectool.types import Estimate


def columns(evaluated: Evaluated, suites: Iterable[str]) -> dict[str, Float64[np.ndarray, "n"]]:
    """Return every metric of the suites that is a mean over samples, as one value for each."""
    return {
        name: np.asarray(column, np.float64)
        for suite in suites
        for name, column in SUITES[suite].columns(evaluated).items()
    }


def draws(evaluated: Evaluated, suites: Iterable[str]) -> dict[str, Int64[np.ndarray, "n"]]:
    """Return the index of the random draw of each sample, for metrics whose samples share draws.

    The samples of one draw depend on each other, so the interval is over draws, not over samples.
    """
    return {name: draw for suite in suites for name, draw in SUITES[suite].draws(evaluated).items()}


def metrics(
    evaluated: Evaluated, suites: Iterable[str], resampling: Resampling
) -> dict[str, dict[str, object]]:
    """Return value, interval and definition of every metric of the suites, as JSON values."""
    found: dict[str, dict[str, object]] = {}
    for suite in suites:
        own = columns(evaluated, [suite])
        scales = {name: describe(name).scale for name in own}
        means = estimate_means(own, scales=scales, draws=draws(evaluated, [suite]))
        estimates = SUITES[suite].estimates(evaluated, resampling) | means
        found |= {name: {"suite": suite, **entry} for name, entry in summarize(estimates).items()}
        for name, condition in SUITES[suite].conditions(evaluated).items():
            if name in found:
                found[name] |= condition
        for name, reason in SUITES[suite].upper_bounds(evaluated).items():
            if name in found:
                found[name]["upper_bound"] = reason
    return found


def tables(evaluated: Evaluated, suites: Iterable[str], resampling: Resampling) -> dict[str, Table]:
    """Return the tables of the suites; suites append to tables of the same name."""
    found: dict[str, Table] = {}
    for suite in suites:
        for name, lines in SUITES[suite].tables(evaluated, resampling).items():
            found.setdefault(name, []).extend(lines)
    return found


def summarize(found: Mapping[str, Estimate]) -> dict[str, dict[str, object]]:
    """Return value, interval and definition of metrics."""
    summary: dict[str, dict[str, object]] = {}
    for name, estimate in found.items():
        info = describe(name)
        summary[name] = {
            **interval(estimate),
            "label": info.label,
            "definition": info.definition,
            "higher_is_better": info.higher_is_better,
            "is_share": info.is_share,
        }
    return summary
