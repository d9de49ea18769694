"""What reports on gates show: gates, tables of metrics, models that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ectool.reports.evaluation import Evaluation
from ectool.reports.numbers import UPPER_BOUND_SIGN, bounds, quantity

Table = Mapping[str, Mapping[str, object]]
"""Cells by row and column."""


@dataclass(frozen=True)
class GateLine:
    """A bound, checked for one model.

    Attributes:
        bound: The bound as text.
        model: Name of the model; empty for the only one.
        found: What was found.
        is_passed: Whether that meets the bound.
    """

    bound: str
    model: str
    found: str
    is_passed: bool


@dataclass(frozen=True)
class GateReport:
    """Gates and metrics of one command.

    Attributes:
        title: Name of the command.
        gates: Every gate.
        tables: Tables of metrics by title.
        failures: Error of each model that could not be evaluated, by name.
    """

    title: str
    gates: tuple[GateLine, ...]
    tables: Mapping[str, Table]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def missed(self) -> int:
        """Return the number of missed gates."""
        return sum(not gate.is_passed for gate in self.gates)

    @property
    def verdict(self) -> str:
        """Return the outcome as a phrase, such as `1 of 3 gates missed`."""
        count, parts = len(self.gates), []
        if count:
            missed = f"{self.missed} of {_counted(count, 'gate')} missed"
            parts.append(missed if self.missed else f"{_counted(count, 'gate')} passed")
        if self.failures:
            parts.append(f"{_counted(len(self.failures), 'model')} failed")
        return ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def gate_table(gates: tuple[GateLine, ...]) -> Table:
    """Return a row for each gate: what was found, and the outcome."""
    return {
        (f"{gate.model}: {gate.bound}" if gate.model else gate.bound): {
            "gate": "passed" if gate.is_passed else "MISSED",
            "found": gate.found,
        }
        for gate in gates
    }


def metric_table(evaluation: Evaluation) -> Table:
    """Return a row for each metric: value, interval and number of samples; shares in percent."""
    table: dict[str, dict[str, object]] = {}
    for name, found in evaluation.values.items():
        table[name] = {
            "value": _value(evaluation, name),
            "95 % interval": bounds(found, evaluation.metrics[name].is_share),
            "n": found.n,
        }
    return table


def model_table(evaluations: Mapping[str, Evaluation]) -> Table:
    """Return a row for each metric, and a column with value and interval for each model."""
    names = dict.fromkeys(name for one in evaluations.values() for name in one.values)
    return {name: {model: _cell(one, name) for model, one in evaluations.items()} for name in names}


def _cell(evaluation: Evaluation, name: str) -> str | None:
    """Return value and interval; None if the model has no such metric."""
    if name not in evaluation.values:
        return None
    found, is_share = evaluation.values[name], evaluation.metrics[name].is_share
    ends = f" {bounds(found, is_share)}" if found.bounded else ""
    return _value(evaluation, name) + ends


def _value(evaluation: Evaluation, name: str) -> str:
    """Return the value, with a sign where it is only an upper bound."""
    text = quantity(evaluation.values[name].value, evaluation.metrics[name].is_share)
    return (UPPER_BOUND_SIGN if name in evaluation.upper_bounds else "") + text
