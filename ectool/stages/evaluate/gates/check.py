"""Check of metrics against bounds: every gate, passed or missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ectool.errors import QualityGateError, UsageError
from ectool.metrics.bounds import Bound, Comparison
from ectool.reports.evaluation import interval_of
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.evaluate.gates.baseline import comparisons
from ectool.stages.evaluate.pairs import FinishedEvaluation
from ectool.stages.evaluate.suites.tables import interval, number
from ectool.types import Estimate

Entry = Mapping[str, Any]
"""Entry of a metric in `results.json`."""
NOTHING: Mapping[Bound, Comparison] = {}


@dataclass(frozen=True)
class Gate:
    """A bound, checked for one model.

    Attributes:
        model: Name of the model; empty for the only one.
        bound: The bound.
        found: Value and interval of the model.
        upper_bound: Reason why the value is only an upper bound.
        comparison: Difference to the baseline, if the bound is relative.
        missed: What was found in place of the bound; None if it is met.
    """

    model: str
    bound: Bound
    found: Estimate
    upper_bound: str | None
    comparison: Comparison | None
    missed: str | None

    @property
    def text(self) -> str:
        """Return what was found: value and interval, or the difference to the baseline."""
        if self.upper_bound is not None and self.missed is not None:
            return self.missed
        if self.comparison is not None:
            return self.bound.described(self.comparison)
        text = self.bound.written(self.found.value)
        return f"{text} {self.bound.interval(self.found)}" if self.found.bounded else text

    @property
    def entry(self) -> dict[str, Any]:
        """Return the gate as JSON values."""
        bound = self.bound
        return {
            "gate": bound.text,
            "model": self.model or None,
            "passed": self.missed is None,
            "found": self.text,
            "metric": bound.metric,
            "end": bound.end,
            "sign": bound.sign,
            "bound": bound.number,
            "is_relative": bound.is_relative,
            "is_share": bound.is_share,
            **interval(self.found),
            **({} if self.upper_bound is None else {"upper_bound": self.upper_bound}),
            **({} if self.comparison is None else {"baseline": _compared(self.comparison)}),
        }


def _compared(comparison: Comparison) -> dict[str, Any]:
    """Return the difference to the baseline as JSON values."""
    found = interval(comparison.difference)
    return {
        "value": number(comparison.baseline),
        "difference": found.pop("value"),
        **found,
        "confidence": comparison.confidence,
        "test": comparison.test,
        "p_value": number(comparison.p_value),
    }


def check_bounds(
    metrics: Mapping[str, Entry],
    bounds: Sequence[Bound],
    where: Path,
    *,
    model: str = "",
    compared: Mapping[Bound, Comparison] = NOTHING,
) -> list[Gate]:
    """Compare the metrics of an evaluation with bounds.

    Args:
        metrics: Entries of the results by metric.
        bounds: Bounds to meet.
        where: File of the results.
        model: Name of the model, one of several.
        compared: Differences to the baseline, of relative bounds.

    Returns:
        A gate for each bound, in their order.

    Raises:
        UsageError: A bound names a metric that was not measured.
    """
    check_measured(metrics, bounds, where, model)
    gates = []
    for bound in bounds:
        entry, comparison = metrics[bound.metric], compared.get(bound)
        found, reason = interval_of(entry), entry.get("upper_bound")
        if comparison is None:
            missed = bound.missed_by(found, reason)
        elif reason is not None and bound.sign == ">=":
            missed = f"no more than an upper bound, {bound.written(found.value)}: {reason}"
        else:
            missed = bound.missed_against(comparison)
        gates.append(Gate(model, bound, found, reason, comparison, missed))
    return gates


def check_measured(
    metrics: Mapping[str, Entry], bounds: Sequence[Bound], where: Path, model: str = ""
) -> None:
    """Check that every metric of the bounds was measured.

    Raises:
        UsageError: One was not; the message names it.
    """
    for bound in bounds:
        if bound.metric not in metrics:
            raise UsageError(
                f"{model}: --require" if model else "--require",
                expected="a metric that was measured",
                got=repr(bound.metric),
                fix=f"name one of {where}",
            )


def check_all(
    bounds: Sequence[Bound],
    models: Mapping[str, FinishedEvaluation],
    baseline: FinishedEvaluation | None,
) -> list[Gate]:
    """Check every bound for every model.

    Args:
        bounds: The bounds.
        models: Finished evaluations by the names of the models; the name of the only one is empty.
        baseline: What relative bounds refer to.

    Raises:
        UsageError: A bound names a metric that was not measured.
        InputError: The baseline is of other images or samples, or lacks a metric.
    """
    gates = []
    for name, own in models.items():
        metrics, where = own.results["metrics"], own.path / RESULTS_FILE
        check_measured(metrics, bounds, where, name)
        found = {} if baseline is None else comparisons(bounds, baseline, own)
        gates += check_bounds(metrics, bounds, where, model=name, compared=found)
    return gates


def missed_error(gates: Sequence[Gate], where: Mapping[str, Path]) -> QualityGateError | None:
    """Return the error that names the first missed gate; None if all are passed.

    Args:
        gates: All gates.
        where: File of the results by model.
    """
    missed = [gate for gate in gates if gate.missed is not None]
    if not missed:
        return None
    first, others = missed[0], len(missed) - 1
    start = f"{first.model}: " if first.model else ""
    more = f" (and {others} more of {len(gates)} gates missed)" if others else ""
    return QualityGateError(
        start + first.bound.name,
        expected=first.bound.right,
        got=f"{first.missed}{more}",
        fix=f"see {where[first.model]}",
    )
