"""An experiment file, read and checked before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ectool.config import (
    EXPERIMENT_TABLE,
    STAGES,
    ArmConfig,
    ExperimentConfig,
    RunConfig,
    TrainConfig,
    inapplicable_options,
)
from ectool.errors import UsageError
from ectool.settings import Config, read_toml, stage_table, validate, variables
from ectool.stages.run.miniature import miniature

GIVEN = {"seed", "model", "init", "samples", "heatmaps", "previous", "output"}
"""What `run` tells the stages of a round, which hence no arm can change."""


@dataclass(frozen=True)
class Experiment:
    """An experiment file, read and checked, and where it goes.

    Attributes:
        config: The `[experiment]` table.
        document: The whole file.
        file: Where the file lies.
        folder: Where the experiment goes.
        machine: What `run` was told of device, threads, force and data; goes before the file.
    """

    config: ExperimentConfig
    document: Mapping[str, Any]
    file: Path
    folder: Path
    machine: Mapping[str, Any]

    def stage(self, model: type[Config], name: str, /, **given: object) -> Config:
        """Return a stage's configuration: file < environment < machine < what is given here.

        Where another attack is given, what it does not listen to is left out of the file's table.
        """
        fields = model.model_fields
        machine = {key: value for key, value in self.machine.items() if key in fields}
        table = stage_table(self.document, name, self.file)
        if "attack" in given:
            unheard = inapplicable_options(str(given["attack"]))
            table = {key: value for key, value in table.items() if key not in unheard}
        return validate(model, {**table, **variables(model, name), **machine, **given}, name)

    @property
    def stops(self) -> list[int]:
        """Return the epoch that each round trains until."""
        epochs, warmup = self.schedule
        every = self.config.every
        return [min(start + every, epochs) for start in range(warmup, epochs, every)]

    @property
    def schedule(self) -> tuple[int, int]:
        """Return the number of epochs and how many of them come before the first round."""
        epochs = self.stage(TrainConfig, "train", output=self.folder).epochs
        # 0.28 * 25 is a hair above 7; the small term keeps such products from rounding up.
        return epochs, max(1, math.ceil(self.config.warmup * epochs - 1e-6))


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
    if config.miniature:
        document = miniature(document)
    told = {"device", "threads", "force", "data"}
    machine = config.model_dump(include=config.model_fields_set & told, exclude_none=True)
    table = validate(ExperimentConfig, document[EXPERIMENT_TABLE], EXPERIMENT_TABLE)
    name = config.file.stem + ("-miniature" if config.miniature else "")
    folder = config.output or Path("run") / name
    experiment = Experiment(table, document, config.file, folder, machine)
    _check_schedule(experiment)
    for arm_name, arm in table.arms.items():
        _check_arm(experiment, arm_name, arm)
    return experiment


def _check_schedule(experiment: Experiment) -> None:
    epochs, warmup = experiment.schedule
    if warmup >= epochs:
        raise UsageError(
            f"[{EXPERIMENT_TABLE}] warmup",
            expected=f"at least one of {epochs} epochs after the warm-up",
            got=f"{warmup} of warm-up",
            fix="shorten the warm-up, or train for more epochs",
        )


def _check_arm(experiment: Experiment, name: str, arm: ArmConfig) -> None:
    """Check every stage's table together with what an arm changes in it."""
    required = {"output": experiment.folder, "model": "-", "heatmaps": experiment.folder}
    for stage, model in STAGES.items():
        changed = getattr(arm, stage, {})
        for key in changed.keys() & GIVEN:
            raise UsageError(
                f"[{EXPERIMENT_TABLE}.arms.{name}.{stage}] {key}",
                expected="options other than " + ", ".join(sorted(GIVEN)),
                got=repr(changed[key]),
                fix="remove it; `run` itself says what follows on what",
            )
        fill = {key: value for key, value in required.items() if key in model.model_fields}
        if stage == "train":
            del fill["model"]
        experiment.stage(model, stage, **changed, **fill)
