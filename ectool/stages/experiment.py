"""`run`: a whole experiment in one process: every seed, every arm, every round, the report.

The stages are the ones of the command line and write the same artifacts, bit for bit, as the
chain of commands in `pipelines/` does.
"""

from __future__ import annotations

from pathlib import Path

from ectool.artifacts import files
from ectool.config import ReportConfig, RunConfig
from ectool.stages import report
from ectool.stages.arm import Chain
from ectool.stages.layout import EXPERIMENT_FILE, ExperimentRecord, RunRecord
from ectool.stages.plan import Experiment, open_experiment
from ectool.stages.watch import Watch
from ectool.types import SILENT, UP_TO_DATE, Reporter


def run(config: RunConfig, reporter: Reporter = SILENT) -> Path:
    """Execute an experiment file and write its folder.

    Raises:
        InputError: The file or an input of a stage is missing or invalid.
        UsageError: The file holds an unknown name or a value out of bounds.
        OutputExistsError: An output exists with another key and `force` is off.
    """
    experiment = open_experiment(config)
    table, watch = experiment.config, Watch(reporter)
    runs = []
    with reporter.task("run", len(table.seeds) * len(table.arms)) as advance:
        for seed in table.seeds:
            for name, arm in table.arms.items():
                runs.append(Chain(experiment, seed, name, arm, watch).run())
                advance(1)
    is_new = _record(experiment, runs) or watch.computed
    page = experiment.folder / report.PAGE_FILE
    if config.report and (is_new or not page.exists()):
        report.run(ReportConfig(paths=(experiment.folder,)), reporter)
    elif not is_new:
        reporter.note(f"{experiment.folder}: {watch.up_to_date} artifacts, {UP_TO_DATE}")
    return experiment.folder


def _record(experiment: Experiment, runs: list[RunRecord]) -> bool:
    """Write what was run; tell whether that is news."""
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
    if path.exists() and path.read_bytes() == text:
        return False
    files.write_atomic(path, text)
    return True
