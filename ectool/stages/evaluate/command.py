"""`evaluate`: metrics of one model, or of many, suite by suite."""

from __future__ import annotations

from ectool.config import EvaluateConfig
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.evaluate import many_models as audit
from ectool.stages.evaluate.gates import check_bounds, parse_bounds
from ectool.stages.evaluate.one_model import evaluate, open_variants
from ectool.stages.evaluate.results import read_metrics
from ectool.types import SILENT, Outcome, Reporter, warn


def run(config: EvaluateConfig, reporter: Reporter = SILENT) -> Outcome:
    """Evaluate a model, or several, and write the folder of the evaluation or the audit.

    Cost: docs/evaluation.md.

    Raises:
        UsageError: A bound of `require` is not valid, or of a suite that is not measured.
        InputError: Model or data are missing or do not fit each other.
        OutputExistsError: The output exists, is of something else, and `force` is off.
        FailedModelsError: Some of several models failed; the others have been evaluated.
        QualityGateError: A metric misses a bound of `require`; everything has been written.
    """
    if config.models:
        return audit.run(config, reporter)
    bounds = parse_bounds(config.require, config.suite)
    outcome = evaluate(config, open_variants(config, reporter), reporter)
    if bounds:
        warn(outcome, reporter)  # before an error, with which no outcome is returned
        check_bounds(read_metrics(config.output), bounds, config.output / RESULTS_FILE)
    return outcome
