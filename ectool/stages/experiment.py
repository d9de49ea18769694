"""`run`: a whole experiment in one process: every seed, every arm, every round, the report.

The stages are the ones of the command line and write the same artifacts, bit for bit, as the
chain of commands in `pipelines/` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ectool.artifacts import files
from ectool.config import (
    EXPERIMENT_TABLE,
    STAGES,
    ArmConfig,
    Config,
    EvaluateConfig,
    ExperimentConfig,
    ExplainConfig,
    PerturbConfig,
    ReportConfig,
    RunConfig,
    ScoreConfig,
    TrainConfig,
    read_toml,
    stage_table,
    validate,
)
from ectool.errors import UsageError
from ectool.stages import evaluate, explain, perturb, report, score, train
from ectool.stages.layout import (
    EXPERIMENT_FILE,
    HEATMAPS,
    SAMPLES,
    WEIGHTS,
    ExperimentRecord,
    RunRecord,
)
from ectool.types import SILENT, UP_TO_DATE, Advance, Reporter


@dataclass(frozen=True)
class Experiment:
    """An experiment file, read and checked, and where it goes.

    Attributes:
        config: The `[experiment]` table.
        document: The whole file.
        file: Where the file lies.
        folder: Where the experiment goes.
        machine: Device and threads, for every stage that has them.
    """

    config: ExperimentConfig
    document: Mapping[str, Any]
    file: Path
    folder: Path
    machine: Mapping[str, Any]

    def stage(self, model: type[Config], name: str, /, **given: object) -> Config:
        """Return a stage's configuration: the file's table, then what is given here."""
        fields = model.model_fields
        machine = {key: value for key, value in self.machine.items() if key in fields}
        table = stage_table(self.document, name, self.file)
        return validate(model, {**machine, **table, **given}, name)

    @property
    def schedule(self) -> tuple[int, int]:
        """Return the number of epochs and how many of them come before the first round."""
        epochs = self.stage(TrainConfig, "train", output=self.folder).epochs
        return epochs, max(1, math.ceil(self.config.warmup * epochs))


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
                runs.append(_run_arm(experiment, seed, name, arm, watch))
                advance(1)
    is_new = _record(experiment, runs) or watch.computed
    page = experiment.folder / report.PAGE_FILE
    if config.report and (is_new or not page.exists()):
        report.run(ReportConfig(experiment=experiment.folder), reporter)
    elif not is_new:
        reporter.note(f"{experiment.folder}: {watch.up_to_date} artifacts, {UP_TO_DATE}")
    return experiment.folder


class Watch:
    """Passes a stage's reports on, but counts what is up to date instead of saying it each time.

    Args:
        reporter: Where reports go.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.up_to_date = 0
        self.computed = False

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display: something is being computed."""
        self.computed = True
        return self.reporter.task(description, total)

    def note(self, message: str) -> None:
        """Count an artifact that is up to date; pass on everything else."""
        if message.endswith(UP_TO_DATE):
            self.up_to_date += 1
        else:
            self.reporter.note(message)


def open_experiment(config: RunConfig) -> Experiment:
    """Read an experiment file and check every table before anything is computed.

    Raises:
        InputError: The file is missing or not TOML.
        UsageError: It holds an unknown name or a value out of bounds.
    """
    document = read_toml(config.file)
    if EXPERIMENT_TABLE not in document:
        raise UsageError(
            str(config.file),
            expected=f"a table [{EXPERIMENT_TABLE}]",
            got="none",
            fix="add it, or call the stages with --config",
        )
    machine = {"device": config.device, "threads": config.threads, "force": config.force}
    table = validate(ExperimentConfig, document[EXPERIMENT_TABLE], EXPERIMENT_TABLE)
    folder = config.output or Path("run") / config.file.stem
    experiment = Experiment(table, document, config.file, folder, machine)
    required = {"output": folder, "model": "-", "heatmaps": folder}
    for arm in table.arms.values():
        for name, model in STAGES.items():
            fill = {key: value for key, value in required.items() if key in model.model_fields}
            if name == "train":
                del fill["model"]
            experiment.stage(model, name, **getattr(arm, name, {}), **fill)
    return experiment


def _run_arm(
    experiment: Experiment, seed: int, name: str, arm: ArmConfig, reporter: Reporter
) -> RunRecord:
    """Train one arm with one seed, and evaluate it."""
    base = experiment.folder / f"seed-{seed}"
    epochs, warmup = experiment.schedule
    make = partial(experiment.stage, TrainConfig, "train", seed=seed)
    model = train.run(make(output=base / "warmup" / "model", until_epoch=warmup), reporter)
    rounds: list[Path] = []
    if arm.reweight == "consistency":
        for until in _stops(warmup, epochs, experiment.config.every):
            folder = base / name / str(len(rounds) + 1)
            weights = _round(experiment, seed, arm, model, folder, rounds, reporter)
            samples = folder / SAMPLES if arm.samples else None
            model = train.run(
                make(
                    resume=model,
                    weights=weights,
                    until_epoch=until,
                    output=folder / "model",
                    samples=samples,
                ),
                reporter,
            )
            rounds.append(folder)
    else:
        output = base / name / "model"
        model = train.run(make(resume=model, until_epoch=epochs, output=output), reporter)
    evaluation = evaluate.run(
        experiment.stage(EvaluateConfig, "evaluate", model=str(model), output=base / name / "eval"),
        reporter,
    )
    return RunRecord(
        seed=seed,
        arm=name,
        model=model.relative_to(experiment.folder),
        evaluation=evaluation.relative_to(experiment.folder),
        rounds=tuple(path.relative_to(experiment.folder) for path in rounds),
    )


def _stops(warmup: int, epochs: int, every: int) -> list[int]:
    """Return the epoch that each round trains until."""
    return [min(start + every, epochs) for start in range(warmup, epochs, every)]


def _round(
    experiment: Experiment,
    seed: int,
    arm: ArmConfig,
    model: Path,
    folder: Path,
    rounds: list[Path],
    reporter: Reporter,
) -> Path:
    """Perturb, explain and score the training samples; return the weights."""
    last = rounds[-1] if rounds else None
    samples = perturb.run(
        experiment.stage(
            PerturbConfig,
            "perturb",
            **arm.perturb,
            seed=seed,
            model=str(model),
            init=last and last / SAMPLES,
            output=folder / SAMPLES,
        ),
        reporter,
    )
    heatmaps = explain.run(
        experiment.stage(
            ExplainConfig,
            "explain",
            **arm.explain,
            model=str(model),
            samples=samples,
            output=folder / HEATMAPS,
        ),
        reporter,
    )
    return score.run(
        experiment.stage(
            ScoreConfig,
            "score",
            **arm.score,
            heatmaps=heatmaps,
            previous=last and last / WEIGHTS,
        ),
        reporter,
    )


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
