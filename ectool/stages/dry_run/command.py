"""`--dry-run`: what a command would do, and how long it would take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig, RunConfig, TrainConfig
from ectool.options import Options
from ectool.stages.dry_run.evaluation import plan_evaluate
from ectool.stages.dry_run.experiment import plan_run
from ectool.stages.dry_run.stages import plan_explain, plan_perturb, plan_train
from ectool.types import Reporter

PLANS: Mapping[type[Options], Callable[[Any], dict[str, Any]]] = {
    PerturbConfig: plan_perturb,
    ExplainConfig: plan_explain,
    TrainConfig: plan_train,
    EvaluateConfig: plan_evaluate,
    RunConfig: plan_run,
}
"""By the model of the command's options."""


def run(config: Options, reporter: Reporter) -> dict[str, Any]:
    """Return the parts of a command: output, state, images, batches, estimated seconds.

    The command runs on a few batches in a temporary folder, which is removed. Nothing else is
    written. Where the output is up to date, nothing is timed.

    Args:
        config: Options of the command.
        reporter: Receives the progress.

    Returns:
        JSON values: `output`, `up_to_date`, `seconds`, `time`, and `parts` by name.

    Raises:
        EctoolError: The command itself would fail.
    """
    with reporter.task("dry run", 1) as advance:
        found = PLANS[type(config)](_alone(config))
        advance(1)
    return found


def _alone(config: Options) -> Options:
    """Return the options of one process that does everything, whose batches are timed."""
    fields, one = type(config).model_fields, {"nproc": 1, "shard": None}
    return config.model_copy(update={name: one[name] for name in one if name in fields})
