"""End of an evaluation or audit: gates, tables for people, JSON values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ectool.config import EvaluateConfig
from ectool.errors import FailedModelsError
from ectool.metrics.bounds import Bound
from ectool.reports.evaluation import Evaluation, from_results
from ectool.reports.gates.content import GateReport, Table, gate_table, metric_table, model_table
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.evaluate.gates.check import check_all, missed_error
from ectool.stages.evaluate.gates.outputs import document_of, lines_of, write_reports
from ectool.stages.evaluate.leaderboard import Standing
from ectool.stages.evaluate.pairs import read_evaluation
from ectool.types import Outcome, Summary

ABREAST = 4
"""Maximum number of models next to each other in a terminal."""
TITLE = "Metrics: values and 95 % intervals, shares in percent"


def conclude(
    config: EvaluateConfig,
    outcome: Outcome,
    bounds: Sequence[Bound],
    standings: Sequence[Standing],
) -> Outcome:
    """Check the gates, write their reports, and add the summary to the outcome.

    Args:
        config: Options of the command.
        outcome: Outcome of the evaluation or audit.
        bounds: Bounds to meet.
        standings: Every model; the name of the only one is empty.

    Raises:
        UsageError: A bound names a metric that was not measured.
        InputError: The baseline is of other images or samples, or lacks a metric.
        FailedModelsError: Some of several models failed; it holds the outcome.
        QualityGateError: A gate is missed; it holds the outcome.
    """
    folders = {one.name: config.output / one.name for one in standings if one.status == "ok"}
    models = {name: read_evaluation(folder) for name, folder in folders.items()}
    baseline = None if config.baseline is None else read_evaluation(config.baseline)
    gates = check_all(bounds, models, baseline)
    evaluations = {name: from_results(name, one.results) for name, one in models.items()}
    report = GateReport(
        title="ectool evaluate",
        gates=lines_of(gates),
        tables={TITLE: _table(evaluations)},
        failures={one.name: one.error or "" for one in standings if one.status == "failed"},
    )
    text = write_reports(config, report, bounds)
    tables = (*_narrow(evaluations), gate_table(report.gates))
    summary = Summary(tables, _document(standings) | document_of(gates), text)
    concluded = replace(outcome, summary=summary)
    where = {name: folder / RESULTS_FILE for name, folder in folders.items()}
    error = _failures(config.output, standings) or missed_error(gates, where)
    if error is not None:
        error.result = concluded
        raise error
    return concluded


def _table(evaluations: Mapping[str, Evaluation]) -> Table:
    """Return the metrics: of the only model in columns, of several with a column for each."""
    return metric_table(evaluations[""]) if "" in evaluations else model_table(evaluations)


def _narrow(evaluations: Mapping[str, Evaluation]) -> Iterator[Table]:
    """Yield tables of a few models each."""
    names = list(evaluations)
    for start in range(0, len(names), ABREAST):
        yield _table({name: evaluations[name] for name in names[start : start + ABREAST]})


def _document(standings: Sequence[Standing]) -> dict[str, Any]:
    """Return the metrics, or the models with theirs, as JSON values."""
    if [one.name for one in standings] == [""]:
        return {"metrics": standings[0].metrics}
    return {"models": [asdict(one) for one in standings]}


def _failures(output: Path, standings: Sequence[Standing]) -> FailedModelsError | None:
    """Return the error that names the models that failed; None if all were evaluated."""
    failed = [one.name for one in standings if one.status == "failed"]
    if not failed:
        return None
    return FailedModelsError(
        str(output),
        expected=f"all {len(standings)} models to be evaluated",
        got=f"{len(failed)} that failed: {', '.join(failed)}",
        fix=f"see their errors in {output / RESULTS_FILE}",
    )
