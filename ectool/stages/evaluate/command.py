"""`evaluate`: metrics of one model, or of many, suite by suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ectool.config import EvaluateConfig
from ectool.datasets.fingerprint import fingerprints
from ectool.distributed.group import ALONE, Group, joined
from ectool.distributed.world import world
from ectool.stages.evaluate import many_models as audit
from ectool.stages.evaluate.conclusion import conclude
from ectool.stages.evaluate.gates.baseline import check_baseline
from ectool.stages.evaluate.gates.parse import parse_bounds
from ectool.stages.evaluate.leaderboard import Standing
from ectool.stages.evaluate.one_model import evaluate, open_variants
from ectool.stages.evaluate.results import read_metrics
from ectool.types import SILENT, Outcome, Reporter


def run(config: EvaluateConfig, reporter: Reporter = SILENT) -> Outcome:
    """Evaluate a model, or several, and write the folder of the evaluation or the audit.

    Cost: docs/evaluation.md.

    Raises:
        UsageError: A bound of `require` is not valid, or of a suite that is not measured.
        InputError: Model, data or baseline are missing or do not fit each other.
        OutputExistsError: The output exists, is of something else, and `force` is off.
        FailedModelsError: Some of several models failed; the others have been evaluated.
        QualityGateError: A metric misses a bound of `require`; everything has been written.
    """
    with _joined(config) as group:
        if config.models:
            return audit.run(config, reporter, group)
        return _evaluate(config, reporter, group)


@contextmanager
def _joined(config: EvaluateConfig) -> Iterator[Group]:
    """Join the other processes, if there are any; torch is imported only then."""
    if world().is_alone:
        yield ALONE
        return
    from ectool.stages.common.loaded import pick_device

    with joined(pick_device(config)) as group:
        yield group


def _evaluate(config: EvaluateConfig, reporter: Reporter, group: Group) -> Outcome:
    """Evaluate the only model."""
    bounds = parse_bounds(config.require, config.suite, has_baseline=config.baseline is not None)
    variants = open_variants(config, reporter)
    check_baseline(config.baseline, config.output, bounds, fingerprints(variants))
    outcome = evaluate(config, variants, reporter, group=group)
    metrics = read_metrics(config.output)
    standings = [Standing("", config.model, "ok", None, "", metrics)]
    return group.from_first(lambda: conclude(config, outcome, bounds, standings))
