"""`run`: a whole experiment in one process: every seed, every arm, every round, the report.

The artifacts equal those of the chain of commands in `pipelines/`, bit for bit.
"""

from __future__ import annotations

from ectool.artifacts import files
from ectool.config import ReportConfig, RunConfig
from ectool.stages import report
from ectool.stages.common.layout import EXPERIMENT_FILE, ExperimentRecord, RunRecord
from ectool.stages.run.arm import Chain
from ectool.stages.run.plan import Experiment, open_experiment
from ectool.stages.run.processes import run_ahead
from ectool.types import SILENT, Outcome, Reporter, merged


def run(config: RunConfig, reporter: Reporter = SILENT) -> Outcome:
    """Run an experiment file and write its folder.

    The findings of each stage are reported when it ends, and are in the outcome as well.

    Raises:
        InputError: The file or an input of a stage is missing or invalid.
        UsageError: The file holds an unknown name or a value out of bounds.
        OutputExistsError: An output exists with another key and `force` is off.
    """
    experiment = open_experiment(config)
    table = experiment.config
    runs, outcomes = list[RunRecord](), list[Outcome]()
    if config.processes > 1:
        outcomes += run_ahead(config, experiment, reporter)
    with reporter.task("run", len(table.seeds) * len(table.arms)) as advance:
        for seed in table.seeds:
            for name, arm in table.arms.items():
                chain = Chain(experiment, seed, name, arm, reporter)
                runs.append(chain.run())
                outcomes += chain.outcomes
                advance(1)
    outcomes.append(_record(experiment, runs))
    if config.report:
        outcomes.append(report.run(ReportConfig(paths=(experiment.folder,)), reporter))
    return merged(experiment.folder, outcomes)


def _record(experiment: Experiment, runs: list[RunRecord]) -> Outcome:
    """Write the record of the experiment, unless the same one is there."""
    epochs, warmup = experiment.schedule
    table = experiment.config
    record = ExperimentRecord(
        title=table.title,
        reference=next(iter(table.arms)),
        epochs=epochs,
        warmup_epochs=warmup,
        every=table.every,
        seeds=table.seeds,
        arms={name: arm.model_dump(mode="json") for name, arm in table.arms.items()},
        runs=tuple(runs),
    )
    text = (record.model_dump_json(indent=1) + "\n").encode()
    path = experiment.folder / EXPERIMENT_FILE
    is_new = not path.exists() or path.read_bytes() != text
    if is_new:
        files.write_atomic(path, text)
    return Outcome(path, is_new)
