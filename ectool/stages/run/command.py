"""`run`: a whole experiment in one process: every seed, every arm, every round, the report.

The stages are the ones of the command line and write the same artifacts, bit for bit, as the
chain of commands in `pipelines/` does.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ectool.artifacts import files
from ectool.artifacts.hashing import digest_file
from ectool.artifacts.manifest import FILE_NAME
from ectool.config import ReportConfig, RunConfig
from ectool.stages.common.layout import EXPERIMENT_FILE, ExperimentRecord, RunRecord
from ectool.stages.common.reporters import Quiet
from ectool.stages.report import command as report
from ectool.stages.run.arm import Chain, artifacts_in
from ectool.stages.run.plan import Experiment, open_experiment
from ectool.types import SILENT, UP_TO_DATE, Reporter


def run(config: RunConfig, reporter: Reporter = SILENT) -> Path:
    """Execute an experiment file and write its folder.

    Raises:
        InputError: The file or an input of a stage is missing or invalid.
        UsageError: The file holds an unknown name or a value out of bounds.
        OutputExistsError: An output exists with another key and `force` is off.
    """
    experiment = open_experiment(config)
    table, quiet = experiment.config, Quiet(reporter)
    before = _left_behind(experiment)
    runs = []
    with reporter.task("run", len(table.seeds) * len(table.arms)) as advance:
        for seed in table.seeds:
            for name, arm in table.arms.items():
                runs.append(Chain(experiment, seed, name, arm, quiet).run())
                advance(1)
    _record(experiment, runs)
    if config.report:
        report.run(ReportConfig(paths=(experiment.folder,)), quiet)
    after = _left_behind(experiment)
    if before == after:
        count = sum(path.name == FILE_NAME for path in after)
        reporter.note(f"{experiment.folder}: {count} artifacts, {UP_TO_DATE}")
    return experiment.folder


def _left_behind(experiment: Experiment) -> dict[Path, str]:
    """Return by path the digests of all that a finished run left: manifests, record, report."""
    root = experiment.folder
    record = root / EXPERIMENT_FILE
    if not record.is_file():
        return {}
    runs = _runs_in(record)
    artifacts = [root / path for run in runs for path in artifacts_in(run)]
    manifests = [path / FILE_NAME for path in artifacts]
    written = [record, *(root / name for name in report.WRITTEN)]
    return {path: digest_file(path) for path in (*manifests, *written) if path.is_file()}


def _runs_in(record: Path) -> tuple[RunRecord, ...]:
    """Return the runs that a record tells of; none of one that cannot be read."""
    try:
        return ExperimentRecord.model_validate_json(record.read_bytes()).runs
    except ValidationError:
        return ()


def _record(experiment: Experiment, runs: list[RunRecord]) -> None:
    """Write what was run, where that is news."""
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
    if not path.exists() or path.read_bytes() != text:
        files.write_atomic(path, text)
