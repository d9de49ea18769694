"""`compare`: paired tests of the metrics of two evaluations of the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ectool.config import CompareConfig
from ectool.config.evaluate import SUITES
from ectool.metrics.comparison import holm, paired_comparison
from ectool.reports.gates.content import GateReport, Table
from ectool.reports.numbers import bounds as ends
from ectool.reports.numbers import p_value, quantity
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.evaluate.definitions import describe
from ectool.stages.evaluate.gates.check import check_all, missed_error
from ectool.stages.evaluate.gates.outputs import document_of, lines_of, write_reports
from ectool.stages.evaluate.gates.parse import parse_bounds
from ectool.stages.evaluate.pairs import (
    PairedValues,
    check_same_images,
    common_content,
    paired_columns,
    read_evaluation,
)
from ectool.stages.evaluate.suites.tables import number
from ectool.types import SILENT, Estimate, Reporter

LEVEL = 0.05
"""Family-wise error rate: a difference with a smaller corrected p-value is significant."""
TITLE = "Differences of B to A with 95 % intervals, shares in percent"


def run(config: CompareConfig, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Compare two evaluations, metric by metric, on the samples where both are defined.

    Every metric of both that is a mean over samples is compared. 0/1 metrics have McNemar's exact
    test and Tango's interval. Other metrics have a t test adjusted for skewness, and its interval.
    P-values are corrected for the number of metrics (Holm); intervals are not. Bounds of `require`
    apply to B; their baseline is A.

    Returns:
        JSON values: `a`, `b` (folders), `level`, and in `metrics` by name `a`, `b`, `difference`
        (B - A) with `low` and `high` (95 %), `n`, `test`, `p_value`, `p_holm`, and `better`: `a` or
        `b` if `p_holm` is below the level, else None; `passed` and `gates` as `evaluate
        --json`; `markdown` where it belongs on stdout.

    Raises:
        UsageError: A bound is not valid, or its metric was not measured.
        InputError: An evaluation is missing, or they are not of the same images.
        IntegrityError: An artifact is not what was written.
        QualityGateError: B misses a bound of `require`.
    """
    bounds = parse_bounds(config.require, SUITES, has_baseline=True)
    a, b = read_evaluation(config.a), read_evaluation(config.b)
    check_same_images(a, b.results["data"]["variants"], b.path)
    pairs = paired_columns(a, b, common_content(a, b, reporter))
    metrics = {name: _tested(pair) for name, pair in pairs.items()}
    _corrected(metrics)
    gates = check_all(bounds, {"": b}, a)
    report = GateReport("ectool compare", lines_of(gates), {TITLE: _table(metrics)})
    text = write_reports(config, report, bounds)
    found = {"a": str(a.path), "b": str(b.path), "level": LEVEL, "metrics": metrics}
    found |= document_of(gates) | ({} if text is None else {"markdown": text})
    if error := missed_error(gates, {"": b.path / RESULTS_FILE}):
        error.result = found
        raise error
    return found


def _tested(pair: PairedValues) -> dict[str, Any]:
    """Test the difference of a metric on the samples where both are defined."""
    known = ~(np.isnan(pair.first) | np.isnan(pair.second))
    a, b = pair.first[known], pair.second[known]
    found = paired_comparison(pair.first, pair.second, draws=pair.draws)
    return {
        "a": number(a.mean()) if a.size else None,
        "b": number(b.mean()) if b.size else None,
        "difference": number(found.estimate.value),
        "low": number(found.estimate.low),
        "high": number(found.estimate.high),
        "n": found.estimate.n,
        "test": found.test,
        "p_value": number(found.p_value),
    }


def _corrected(metrics: dict[str, dict[str, Any]]) -> None:
    """Add the corrected p-value of every metric, and the better model."""
    p_values = [entry["p_value"] for entry in metrics.values()]
    corrected = holm(np.array(p_values, np.float64))  # None becomes NaN
    for (name, entry), p_holm in zip(metrics.items(), corrected, strict=True):
        b_is_better = (entry["difference"] or 0) > 0
        if not describe(name).higher_is_better:
            b_is_better = not b_is_better
        entry["p_holm"] = number(p_holm)
        entry["better"] = ("b" if b_is_better else "a") if p_holm < LEVEL else None


def _table(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row for each metric: both values, the difference, and the better model."""
    table = {}
    for name, entry in metrics.items():
        is_share = describe(name).is_share
        a, b, value, low, high, p_holm = (
            math.nan if entry[key] is None else entry[key]
            for key in ("a", "b", "difference", "low", "high", "p_holm")
        )
        interval = ends(Estimate(value, low, high, entry["n"]), is_share, signed=True)
        table[name] = {
            "A": quantity(a, is_share),
            "B": quantity(b, is_share),
            "B - A": f"{quantity(value, is_share, signed=True)} {interval}",
            "p (Holm)": p_value(p_holm),
            "better": entry["better"],
        }
    return table
