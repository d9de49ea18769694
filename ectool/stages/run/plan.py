"""Experiment files: read and checked before anything is computed, or reduced to a miniature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ectool.config import (
    EXPERIMENT_TABLE,
    SHARED_TABLE,
    STAGES,
    STUDY_TABLE,
    ArmConfig,
    ExperimentConfig,
    GateOptions,
    RunConfig,
    TrainConfig,
    inapplicable_options,
)
from ectool.errors import UsageError
from ectool.options import rounded_up
from ectool.settings import Config, read_toml, stage_table, validate, variables
from ectool.stages.common.code import check_named

GIVEN = {"seed", "model", "init", "samples", "heatmaps", "previous", "output"}
"""Options that `run` sets in each round, and that arms cannot change."""
SIDE = 64
"""Side of the images of a miniature, in pixels."""
IMAGES = 64
"""Images of each split in a miniature."""
MINIATURE: Mapping[str, Mapping[str, Any]] = {
    SHARED_TABLE: {"size": SIDE, "limit": IMAGES},
    EXPERIMENT_TABLE: {"seeds": (0,), "warmup": 0.5, "every": 1},
    "train": {
        "model": "smallcnn",
        "layer": None,
        "checkpoint": None,
        "prompts": None,
        "reset_head": False,
        "epochs": 2,
        "batch_size": 8,
    },
    "perturb": {"steps": 1},
    "evaluate": {"steps": 1, "eps": (2 / 255,), "subset": 8, "bootstrap": 100},
}
"""Values of a miniature, which replace those of the file, by table."""


@dataclass(frozen=True)
class Experiment:
    """An experiment file, read and checked, and the folder of its results.

    Attributes:
        config: The `[experiment]` table.
        document: The whole file.
        file: Path of the file.
        folder: Folder of the results.
        machine: Options of `run` for device, threads, force, data and trust, which override
            the file.
    """

    config: ExperimentConfig
    document: Mapping[str, Any]
    file: Path
    folder: Path
    machine: Mapping[str, Any]

    def stage(self, model: type[Config], name: str, /, **given: object) -> Config:
        """Return the configuration of a stage: file < environment < machine < `given`.

        For another attack than the file's, options that do not apply to it are left out.
        """
        fields = model.model_fields
        machine = {key: value for key, value in self.machine.items() if key in fields}
        table = stage_table(self.document, name, self.file)
        if "attack" in given:
            inapplicable = inapplicable_options(str(given["attack"]))
            table = {key: value for key, value in table.items() if key not in inapplicable}
        own = {**variables(model, name), **machine, **given}
        options = validate(model, {**table, **own}, name)
        check_named(options, f"{self.file}: [{name}] model", own)
        return options

    @property
    def stops(self) -> list[int]:
        """Return the last epoch of each round."""
        epochs, warmup = self.schedule
        every = self.config.every
        return [min(start + every, epochs) for start in range(warmup, epochs, every)]

    @property
    def schedule(self) -> tuple[int, int]:
        """Return the number of epochs, and of those before the first round."""
        epochs = self.stage(TrainConfig, "train", output=self.folder).epochs
        return epochs, max(1, rounded_up(self.config.warmup, epochs))


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
            fix=f"call `ectool validity {config.file}`"
            if STUDY_TABLE in document
            else "add it, or call the stages with --config",
        )
    if config.miniature:
        document = miniature(document)
    names = {"device", "threads", "force", "data", "trust_code", "check_space"}
    machine = config.model_dump(include=config.model_fields_set & names, exclude_none=True)
    machine |= {"nproc": 1, "shard": None}  # each stage runs here, and as a whole
    table = validate(ExperimentConfig, document[EXPERIMENT_TABLE], EXPERIMENT_TABLE)
    name = config.file.stem + ("-miniature" if config.miniature else "")
    folder = config.output or Path("run") / name
    experiment = Experiment(table, document, config.file, folder, machine)
    _check_schedule(experiment)
    for arm_name, arm in table.arms.items():
        _check_arm(experiment, arm_name, arm)
    return experiment


def miniature(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an experiment file with a shorter schedule, fewer images and weaker attacks.

    It takes a minute. The results show nothing about the method. They show that the files are
    there, that every stage reads them, and how the report looks.

    Args:
        document: Tables of the file; arms and data sets are unchanged.
    """
    names = dict.fromkeys([*document, *MINIATURE])
    cut = {name: {**document.get(name, {}), **MINIATURE.get(name, {})} for name in names}
    for table in cut.values():
        if table is not cut[SHARED_TABLE]:
            for name in MINIATURE[SHARED_TABLE]:
                table.pop(name, None)
    return cut


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
    """Check the tables of all stages together with the changes of an arm."""
    required = {"output": experiment.folder, "model": "-", "heatmaps": experiment.folder}
    for stage, model in STAGES.items():
        changed = getattr(arm, stage, {})
        for key in changed.keys() & GIVEN:
            raise UsageError(
                f"[{EXPERIMENT_TABLE}.arms.{name}.{stage}] {key}",
                expected="options other than " + ", ".join(sorted(GIVEN)),
                got=repr(changed[key]),
                fix="remove it; `run` sets it",
            )
        fill = {key: value for key, value in required.items() if key in model.model_fields}
        if stage == "train":
            del fill["model"]
        options = experiment.stage(model, stage, **changed, **fill)
        if isinstance(options, GateOptions):
            _check_files_of_gates(options, stage)


def _check_files_of_gates(options: GateOptions, stage: str) -> None:
    """Check that no file of gates is named, which every evaluation would write again."""
    for name in ("md", "junit"):
        if (path := getattr(options, name)) is not None:
            raise UsageError(
                f"[{stage}] {name}",
                expected="no file, because an experiment has several evaluations",
                got=str(path),
                fix="remove it, and call `ectool compare` on two of the evaluations",
            )
