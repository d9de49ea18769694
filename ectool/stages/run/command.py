"""`run`: a whole experiment in one process: every seed, every arm, every round, the report.

The artifacts equal those of the chain of commands in `pipelines/`, bit for bit.
"""

from __future__ import annotations

from dataclasses import replace

from ectool.artifacts.files import check_inside
from ectool.artifacts.integrity.sealed_documents import sealed
from ectool.artifacts.jobs import writers
from ectool.config import EvaluateConfig, ReportConfig, RunConfig
from ectool.stages import report
from ectool.stages.common.layout import EXPERIMENT_FILE, ExperimentRecord, RunRecord
from ectool.stages.common.outcomes import gathered
from ectool.stages.evaluate.lacks import check_suites
from ectool.stages.evaluate.one_model import open_variants
from ectool.stages.run.arm import Chain
from ectool.stages.run.plan import Experiment, open_experiment
from ectool.stages.run.processes import run_ahead
from ectool.types import SILENT, Outcome, Reporter, merged, within
from ectool.writing import write_atomic


def run(config: RunConfig, reporter: Reporter = SILENT) -> Outcome:
    """Run an experiment file and write its folder.

    A finding is reported when a stage first has it. In the outcome, one that repeats is one
    sentence, with the arms and rounds.

    Raises:
        InputError: The file or an input of a stage is missing or invalid.
        UsageError: The file holds an unknown name or a value out of bounds.
        OutputExistsError: An output exists with another key and `force` is off.
        BusyOutputError: Another process writes the experiment, or one of its artifacts.
    """
    experiment = open_experiment(config)
    with writers.held(experiment.folder):
        check_inside(experiment.folder)
        return _run(config, experiment, reporter)


def _run(config: RunConfig, experiment: Experiment, reporter: Reporter) -> Outcome:
    """Run all chains of an experiment, the lock of whose folder is held."""
    table = experiment.config
    if not (experiment.folder / EXPERIMENT_FILE).exists():
        _check_evaluation(experiment, reporter)
    runs, outcomes, told = list[RunRecord](), list[Outcome](), set[str]()
    if config.processes > 1:
        outcomes += run_ahead(config, experiment, reporter)
    with reporter.task("run", len(table.seeds) * len(table.arms)) as advance:
        for seed in table.seeds:
            for name, arm in table.arms.items():
                own = within(reporter, f"seed {seed}, {name}")
                chain = Chain(experiment, seed, name, arm, own, told)
                runs.append(chain.run())
                outcomes += chain.outcomes
                advance(1)
    outcomes.append(_record(experiment, runs))
    if config.report:
        outcomes.append(report.run(ReportConfig(paths=(experiment.folder,)), reporter))
    whole = merged(experiment.folder, outcomes)
    return replace(whole, findings=gathered(whole.findings, experiment.folder))


def _check_evaluation(experiment: Experiment, reporter: Reporter) -> None:
    """Check before the first training that the evaluation can give metrics on the data."""
    given = {"model": "-", "output": experiment.folder}
    config = experiment.stage(EvaluateConfig, "evaluate", **given)
    check_suites(config, open_variants(config, reporter), reporter)


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
    text = sealed(record.model_dump_json(indent=1))
    path = experiment.folder / EXPERIMENT_FILE
    is_new = not path.exists() or path.read_bytes() != text
    if is_new:
        write_atomic(path, text)
    return Outcome(path, is_new)
