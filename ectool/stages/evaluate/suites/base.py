"""Suites: which parts they need, and which metrics are computed from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset
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
    """Options of the bootstrap.

    Attributes:
        resamples: Number of resamples.
        seed: Seed of the draws.
    """

    resamples: int
    seed: int


def no_estimates(evaluated: Evaluated, resampling: Resampling) -> dict[str, Estimate]:  # noqa: ARG001 (protocol)
    """Return no metrics: all are means over samples."""
    return {}


def no_tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return no table."""
    return {}


def no_draws(evaluated: Evaluated) -> dict[str, Int64[np.ndarray, "n"]]:  # noqa: ARG001 (protocol)
    """Return no shared draws: random numbers are drawn per sample."""
    return {}


@dataclass(frozen=True)
class Lack:
    """Metrics that a suite cannot give on some data.

    Attributes:
        reason: Why, as a clause, e.g. `the images have no object masks`.
        metrics: What is missing; empty for all metrics of the suite.
    """

    reason: str
    metrics: str = ""


Variants = Mapping[str, Dataset]
"""The data set in every available background variant."""


@dataclass(frozen=True)
class Suite:
    """Metrics that belong together. All functions except `parts` use existing parts.

    Attributes:
        parts: Returns the parts of the suite, each after the parts that it depends on.
        columns: Returns every metric that is a mean over samples, in the order of the predictions.
        estimates: Returns the other metrics.
        tables: Returns tables for results and reports.
        draws: Returns the index of the random draw of each sample, for columns whose samples share
            draws.
        conditions: Returns the change of the images, for metrics on changed images.
        upper_bounds: Returns the reason, for metrics that are only upper bounds.
        lack: Returns what the suite cannot give on data, before anything is computed; None if it
            gives all.
    """

    parts: Callable[[Subject], tuple[Part, ...]]
    columns: Callable[[Evaluated], Columns]
    estimates: Callable[[Evaluated, Resampling], dict[str, Estimate]] = no_estimates
    tables: Callable[[Evaluated, Resampling], dict[str, Table]] = no_tables
    draws: Callable[[Evaluated], dict[str, Int64[np.ndarray, "n"]]] = no_draws
    conditions: Callable[[Evaluated], Conditions] = lambda _: {}
    upper_bounds: Callable[[Evaluated], dict[str, str]] = lambda _: {}
    lack: Callable[[EvaluateConfig, Variants], Lack | None] = lambda *_: None
