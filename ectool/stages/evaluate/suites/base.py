"""Suites: which parts they need, and which metrics are computed from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import Part, Subject
from ectool.types import Estimate

Values = Bool[np.ndarray, "n"] | Float[np.ndarray, "n"]
Columns = dict[str, Values]
"""Metrics that are means over samples, as one value for each of them, NaN where undefined."""
Table = list[dict[str, object]]
Conditions = dict[str, dict[str, object]]
"""By metric, the fields of the results that `reports.evaluation.CONDITION` lists."""


@dataclass(frozen=True)
class Resampling:
    """How the bootstrap draws.

    Attributes:
        resamples: How often.
        seed: Seed of the draws.
    """

    resamples: int
    seed: int


def no_estimates(evaluated: Evaluated, resampling: Resampling) -> dict[str, Estimate]:  # noqa: ARG001 (protocol)
    """Return no metric: all are means over samples."""
    return {}


def no_tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return no table."""
    return {}


def no_draws(evaluated: Evaluated) -> dict[str, Int64[np.ndarray, "n"]]:  # noqa: ARG001 (protocol)
    """Return no shared draws: what is random is drawn for every sample anew."""
    return {}


@dataclass(frozen=True)
class Suite:
    """Metrics that belong together. Everything but `parts` uses the parts that are there.

    Attributes:
        parts: Returns what the suite is measured from, each after those it is made of.
        columns: Returns every metric that is a mean over samples, in the order of the predictions.
        estimates: Returns the other metrics.
        tables: Returns what a single number does not say, for results and reports.
        draws: Returns, of every column whose samples share random draws of ours, which draw each
            sample was measured with.
        conditions: Returns, of metrics under a condition, what was done to the images.
        upper_bounds: Returns why metrics are no more than upper bounds, of those that are.
    """

    parts: Callable[[Subject], tuple[Part, ...]]
    columns: Callable[[Evaluated], Columns]
    estimates: Callable[[Evaluated, Resampling], dict[str, Estimate]] = no_estimates
    tables: Callable[[Evaluated, Resampling], dict[str, Table]] = no_tables
    draws: Callable[[Evaluated], dict[str, Int64[np.ndarray, "n"]]] = no_draws
    conditions: Callable[[Evaluated], Conditions] = lambda _: {}
    upper_bounds: Callable[[Evaluated], dict[str, str]] = lambda _: {}
